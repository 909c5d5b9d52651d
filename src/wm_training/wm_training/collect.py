"""Training data straight from the embedded simulator: many imperfect drivers, many routes.

The fast way to a training store; ``wm record`` + ``wm dataset build`` is the way that also takes
real recordings. Both label frames with the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.threads import limit_threads
from wm_perception.camera_stream import FRONT, CameraStream
from wm_perception.frame import Command
from wm_sim.world import World
from wm_training.drivers import Driver, make_driver, simulator_camera
from wm_training.labels import LabelledFrame, Labeller
from wm_training.perturbed import HABITS, PerturbedDriver
from wm_training.store import StoreWriter
from wm_training.store_columns import AGE, COLUMNS, IMAGE, TEACHER, camera_columns
from wm_training.town_jobs import Report, run_jobs
from wm_training.weather_split import COLLECTED

FRAMES_AFTER_END = 6  # keep what a crash looks like from inside


@dataclass(frozen=True)
class Mix:
    """What kind of driving a collection is made of.

    Attributes:
        traffic: numbers of other cars to choose from.
        shares: share of the episodes per habit, see ``perturbed.HABITS``.
        max_frames: length limit of an episode: many short ones are more varied than few long ones.
        max_start_mps: the largest initial speed.
        people: numbers of pedestrians to choose from.
        others: lorries, cyclists and parked cars, each up to this share of the cars.
    """

    traffic: tuple[int, ...]
    shares: dict[str, float]
    max_frames: int
    max_start_mps: float
    people: tuple[int, ...] = (0,)
    others: float = 0.0

    def world(self, rng: np.random.Generator, cars: int) -> World:
        """Who else is about in an episode with ``cars`` cars; no draw where nobody ever is."""
        if self.people == (0,) and not self.others:
            return World()
        most = int(self.others * cars)
        lorries, cyclists, parked = (int(n) for n in rng.integers(0, most + 1, 3))
        people = int(rng.choice(self.people))
        return World(trucks=lorries, cyclists=cyclists, pedestrians=people, parked=parked)


MIXES = {
    "standard": Mix(
        (0, 10, 20, 35, 50),
        {"clean": 0.15, "noisy": 0.3, "reckless": 0.27, "distracted": 0.23, "random": 0.05},
        600,
        0.0,
    ),
    # Where crashes come from: full streets and drivers that do not look.
    "dense": Mix(
        (40, 60, 80), {"noisy": 0.15, "reckless": 0.5, "distracted": 0.35}, 300, 9.0
    ),
    # Everybody is about: what regular traffic looks like.
    "mixed": Mix(
        (10, 20, 30, 45),
        {"clean": 0.15, "noisy": 0.25, "reckless": 0.33, "distracted": 0.27},
        400, 6.0, people=(0, 20, 40, 60), others=0.3,
    ),
    # Standing for no reason, see ``perturbed.HABITS``: for models that have to look.
    "hesitant": Mix(
        (0, 0, 10, 20, 30), {"hesitant": 1.0}, 400, 6.0, people=(0, 20, 40), others=0.3
    ),
    # What a pupil of the expert learns from: its wishes are kept beside what was done.
    "lessons": Mix(
        (0, 10, 20, 30, 45), {"lesson": 1.0}, 300, 8.0, people=(0, 20, 40), others=0.2
    ),
    # On policy: needs a model, which drives.
    "planner": Mix((15, 30, 50), {"planner": 1.0}, 400, 6.0),
    "planner-mixed": Mix(
        (15, 30, 45), {"planner": 1.0}, 400, 6.0, people=(0, 20, 40, 60), others=0.3
    ),
}  # fmt: skip


@dataclass(frozen=True)
class CollectJob:
    """One town's share of the collection.

    Attributes:
        town: where.
        frames: how many, at least.
        seed: of routes, traffic and errors.
        out: store.
        mix: key of ``MIXES``.
        frame_dt: s between frames.
        model: who drives, for the mixes of a planner ...
        driver: ... by search ("planner") or by its learned behaviour ("actor").
        camera: also keep what the front camera sees, each episode in a weather of its own.
    """

    town: str
    frames: int
    seed: int
    out: Path
    mix: str = "standard"
    frame_dt: float = 0.1
    model: Path | None = None
    driver: str = "planner"
    camera: bool = False

    @property
    def total(self) -> int:
        """Units of work, for :func:`wm_training.town_jobs.run_jobs`."""
        return self.frames


def episode_arrays(frames: list[LabelledFrame]) -> dict[str, np.ndarray]:
    """Columns of the training store for one episode; pictures where they were observed."""
    pictures: dict[str, np.ndarray] = {}
    if FRONT.name in frames[0].observation.sensors:
        pictures[IMAGE + FRONT.camera] = np.stack(
            [f.observation.sensors[FRONT.name] for f in frames]
        )
        pictures[AGE + FRONT.camera] = np.zeros(len(frames), np.float32)
    return pictures | {
        "bev": np.stack([f.observation.bev for f in frames]),
        "state": np.stack([f.observation.state for f in frames]),
        "route": np.stack([f.observation.route for f in frames]),
        "command": np.array(
            [(f.observation.command.steer, f.observation.command.accel) for f in frames],
            np.float32,
        ),
        "motion": np.stack([f.motion for f in frames]).astype(np.float32),
        "labels": np.stack([f.labels for f in frames]),
    }


def taught(wishes: list[Command]) -> np.ndarray:
    """(F, 2) float32 steer and accel of F - 1 wishes; the last frame repeats the one before.

    The wish to back up is one to accelerate backwards, so as a command without a gear it brakes.
    """
    rows = [(wish.steer, -abs(wish.accel) if wish.reverse else wish.accel) for wish in wishes]
    return np.array([*rows, rows[-1]], np.float32)


def drive_episode(
    simulator, scene, driver, frame_dt: float, max_frames: int, camera: CameraStream | None = None
) -> list[LabelledFrame]:
    """Drive until the end of the route, a crash, or ``max_frames``; labelled frames."""
    labeller = Labeller(scene, frame_dt, camera)
    frame = simulator.frame()
    labelled = [labeller.label(frame)]
    left = max_frames
    while left > 0:
        frame = simulator.step(driver.drive(frame))
        labelled.append(labeller.label(frame))
        left -= 1
        if labelled[-1].ended:
            left = min(left, FRAMES_AFTER_END)
        if labelled[-1].observation.on_route.s > scene.route.length_m - 10.0:
            break
    return labelled


def collect_town(job: CollectJob, report: Report = lambda frames: None) -> None:
    """Fill one store with ``job.frames`` frames of one town."""
    from wm_sim.camera import CameraConfig
    from wm_sim.routes import load_router
    from wm_sim.simulator import Simulator

    name_seed = [ord(letter) for letter in job.town]
    rng = np.random.default_rng([job.seed, *name_seed])
    camera = FRONT if job.camera else None
    mix = MIXES[job.mix]
    lessons = set(mix.shares) == {"lesson"}
    columns = (*COLUMNS, *camera_columns([camera.camera] if camera else []))
    columns += (TEACHER,) if lessons else ()
    names, shares = list(mix.shares), np.array(list(mix.shares.values()))
    base = _planner(job) if "planner" in mix.shares else None
    rendered = CameraConfig() if camera else simulator_camera(base)
    simulator = Simulator(job.town, frame_dt=job.frame_dt, camera=rendered)
    router = load_router(job.town)
    collected = 0
    with StoreWriter(job.out, frame_dt=job.frame_dt, columns=columns) as writer:
        while collected < job.frames:
            habit = names[rng.choice(len(names), p=shares / shares.sum())]
            traffic = int(rng.choice(mix.traffic))
            route = router.random_route(rng)
            seed, speed_mps = int(rng.integers(1 << 30)), float(rng.uniform(0.0, mix.max_start_mps))
            world = mix.world(rng, traffic)
            if camera:
                world = replace(world, weather=str(rng.choice(COLLECTED)))
            scene = simulator.start(
                route, seed=seed, traffic=traffic, speed_mps=speed_mps, world=world
            )
            driver = PerturbedDriver(HABITS[habit], rng, job.frame_dt, base)
            driver.reset(scene, seed=int(rng.integers(1 << 30)))
            labelled = drive_episode(simulator, scene, driver, job.frame_dt, mix.max_frames, camera)
            info = {"town": job.town, "traffic": traffic, "habit": habit}
            if camera:
                info["weather"] = world.weather
            arrays = episode_arrays(labelled)
            if lessons:
                arrays[TEACHER] = taught(driver.wishes)
            writer.append_episode(arrays, info)
            collected += len(labelled)
            report(collected)
    simulator.close()


def _planner(job: CollectJob) -> Driver:
    """The driver of an on-policy collection."""
    if job.model is None:
        raise UserError(f"mix '{job.mix}' needs a model: --model DIR")
    driver = make_driver(job.driver, job.model)
    limit_threads(1)
    return driver


def collect(jobs: Sequence[CollectJob], processes: int = 2) -> None:
    """Run the jobs, see :func:`wm_training.town_jobs.run_jobs`."""
    run_jobs(jobs, collect_town, processes)
