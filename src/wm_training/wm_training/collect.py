"""Training data straight from the embedded simulator: many imperfect drivers, many routes.

The fast way to a training store; ``wm record`` + ``wm dataset build`` is the way that also takes
real recordings. Both label frames with the same code.
"""

from __future__ import annotations

import multiprocessing
import queue
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from wm_dynamics.errors import UserError
from wm_sim.world import World
from wm_training.drivers import Driver, make_driver
from wm_training.labels import LabelledFrame, Labeller
from wm_training.perturbed import HABITS, PerturbedDriver
from wm_training.store import StoreWriter

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
    # On policy: needs a model, which drives.
    "planner": Mix((15, 30, 50), {"planner": 1.0}, 400, 6.0),
    "planner-mixed": Mix(
        (15, 30, 45), {"planner": 1.0}, 400, 6.0, people=(0, 20, 40, 60), others=0.3
    ),
}  # fmt: skip


@dataclass(frozen=True)
class CollectJob:
    """One town's share of the collection."""

    town: str
    frames: int
    seed: int
    out: Path
    mix: str = "standard"
    frame_dt: float = 0.1
    model: Path | None = None


def episode_arrays(frames: list[LabelledFrame]) -> dict[str, np.ndarray]:
    """Columns of the training store for one episode."""
    return {
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


def drive_episode(
    simulator, scene, driver, frame_dt: float, max_frames: int
) -> list[LabelledFrame]:
    """Drive until the end of the route, a crash, or ``max_frames``; labelled frames."""
    labeller = Labeller(scene, frame_dt)
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


def collect_town(job: CollectJob, report=lambda frames: None) -> None:
    """Fill one store with ``job.frames`` frames of one town."""
    from wm_sim.routes import load_router
    from wm_sim.simulator import Simulator

    name_seed = [ord(letter) for letter in job.town]
    rng = np.random.default_rng([job.seed, *name_seed])
    simulator = Simulator(job.town, frame_dt=job.frame_dt)
    router = load_router(job.town)
    mix = MIXES[job.mix]
    names, shares = list(mix.shares), np.array(list(mix.shares.values()))
    base = _planner(job) if "planner" in mix.shares else None
    collected = 0
    with StoreWriter(job.out, frame_dt=job.frame_dt) as writer:
        while collected < job.frames:
            habit = names[rng.choice(len(names), p=shares / shares.sum())]
            traffic = int(rng.choice(mix.traffic))
            route = router.random_route(rng)
            scene = simulator.start(
                route,
                seed=int(rng.integers(1 << 30)),
                traffic=traffic,
                speed_mps=float(rng.uniform(0.0, mix.max_start_mps)),
                world=mix.world(rng, traffic),
            )
            driver = PerturbedDriver(HABITS[habit], rng, job.frame_dt, base)
            driver.reset(scene, seed=int(rng.integers(1 << 30)))
            labelled = drive_episode(simulator, scene, driver, job.frame_dt, mix.max_frames)
            info = {"town": job.town, "traffic": traffic, "habit": habit}
            writer.append_episode(episode_arrays(labelled), info)
            collected += len(labelled)
            report(collected)
    simulator.close()


def _planner(job: CollectJob) -> Driver:
    """The driver of an on-policy collection."""
    import torch

    if job.model is None:
        raise UserError(f"mix '{job.mix}' needs a model: --model DIR")
    torch.set_num_threads(1)
    return make_driver("planner", job.model)


def _worker(job: CollectJob, reports: multiprocessing.Queue) -> None:
    """Report how many frames there are, at the end None; or what the user has to know."""
    try:
        collect_town(job, lambda frames: reports.put((job.town, frames)))
    except UserError as error:
        reports.put((job.town, error))
    else:
        reports.put((job.town, None))


def collect(jobs: list[CollectJob], processes: int = 2) -> None:
    """Run the jobs, ``processes`` at a time (SUMO is a process-wide singleton: one process each).

    Raises:
        UserError: a store cannot be continued with these frames.
        RuntimeError: a worker died; finished episodes stay readable.
    """
    context = multiprocessing.get_context("spawn")
    reports: multiprocessing.Queue = context.Queue()
    waiting = list(jobs)
    running: dict[str, SpawnProcess] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, TimeRemainingColumn()) as progress:
        bars = {job.town: progress.add_task(job.town, total=job.frames) for job in jobs}
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    job = waiting.pop(0)
                    process = context.Process(target=_worker, args=(job, reports), daemon=True)
                    process.start()
                    running[job.town] = process
                try:
                    town, frames = reports.get(timeout=1.0)
                except queue.Empty:
                    dead = [t for t, p in running.items() if p.exitcode not in (None, 0)]
                    if dead:
                        raise RuntimeError(f"collection of {dead[0]} stopped, see above") from None
                    continue
                if isinstance(frames, UserError):
                    raise frames
                if frames is None:
                    running.pop(town).join()
                else:
                    progress.update(bars[town], completed=frames)
        finally:
            for process in running.values():
                process.terminate()
