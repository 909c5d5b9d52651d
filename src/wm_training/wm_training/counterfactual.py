"""Same situation, other actions: the simulator forked where it matters what the ego does next.

A drive is interrupted where a situation is met; from there the world is driven on in eight ways,
each in a forked copy, and then the drive goes on as if nothing had been. Each branch becomes an
episode of a training store: the common history, then what came of the actions. See
docs/counterfactuals.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.camera_stream import FRONT
from wm_perception.frame import Command, SceneFrame
from wm_perception.route import RouteTracker
from wm_sim.expert import Expert, ExpertStyle
from wm_sim.fork import Arrays, BranchFailed, in_fork
from wm_sim.simulator import Simulator
from wm_sim.view import WorldView
from wm_training.collect import FRAMES_AFTER_END, episode_arrays
from wm_training.counterfactual_actions import WAYS, plan
from wm_training.counterfactual_drives import DRY, begin_drive, longest
from wm_training.counterfactual_job import CounterfactualJob, Found
from wm_training.counterfactual_pictures import Painter, illustrate, with_pictures
from wm_training.labels import OFF_ROUTE_M, LabelledFrame, Labeller
from wm_training.situations import Quota, green, kinds_now, quota
from wm_training.store import StoreWriter
from wm_training.store_columns import COLUMNS, camera_columns
from wm_training.town_jobs import Report, run_jobs
from wm_training.weather_split import COLLECTED

HISTORY_S = 2.2  # before the fork: enough to fill a model's memory
BRANCH_S = 3.2  # after it: a horizon of 3 s, and a step
STEP_S = 0.2  # an action is held as long as a step of the model
LOOK_FRAMES = 3  # a situation lasts longer
SPACING_S, STANDING_SPACING_S = 3.0, 8.0  # between situations of one drive
STANDING_MPS = 0.5
GREEN_LEFT_S, LOOK_EVERY_S = 2.5, 1.0  # a green that ends so soon is a situation; when to look
ROUTE_LEFT_M = 40.0  # a branch must not come to the end of the route
DRIVES_PER_SITUATION = 4  # a town that needs more has none of what is looked for


def collect_town(job: CounterfactualJob, report: Report = lambda done: None) -> None:
    """Fill one store with the situations of one town.

    Raises:
        UserError: the store holds something else, or the town has too few situations.
    """
    cv2.setNumThreads(1)  # a forked copy has no other threads
    simulator = Simulator(job.town, frame_dt=job.frame_dt)
    names = (*COLUMNS, *camera_columns([FRONT.camera] if job.camera else []))
    with simulator, StoreWriter(job.out, frame_dt=job.frame_dt, columns=names) as writer:
        found = Found.read(job, writer.manifest["episodes"])
        wanted = quota(job.situations, found.kinds, job.kinds)
        painter = Painter(simulator) if job.camera else None
        report(found.situations)
        while wanted.missing > 0:
            if found.drive > DRIVES_PER_SITUATION * job.situations + 20:
                raise UserError(f"{job.town} has too few situations: {found.situations} found")
            wanted = _Drive(job, simulator, painter, writer, found, report).run(wanted)
            found.drive, found.frames = found.drive + 1, []


class _Drive:
    """One drive in search of situations."""

    def __init__(
        self,
        job: CounterfactualJob,
        simulator: Simulator,
        painter: Painter | None,
        writer: StoreWriter,
        found: Found,
        report: Report,
    ) -> None:
        self._job, self._simulator, self._writer = job, simulator, writer
        self._painter = painter
        self._found, self._report = found, report
        self._next_frame = self._next_green = 0
        self._views: deque[WorldView] = deque(maxlen=job.frames(HISTORY_S) + 1)
        # Late drives take what comes, so that a town without lights gives situations, too.
        self._picky = found.drive < job.situations

    def run(self, wanted: Quota) -> Quota:
        """Drive to the end, fork on the way; what is wanted still."""
        job, simulator = self._job, self._simulator
        rng = job.rng(0, self._found.drive)
        expert = Expert()
        weathers = COLLECTED if job.camera else (DRY,)
        weather = str(job.rng(2, self._found.drive).choice(weathers))
        driver, facts = begin_drive(simulator, wanted.open, expert, rng, job.frame_dt, weather)
        scene, frame = simulator.scene, simulator.frame()
        assert scene is not None
        tracker = RouteTracker(scene.route)
        self._begun_ns = frame.stamp_ns
        recent: deque[SceneFrame] = deque(maxlen=job.frames(HISTORY_S) + 1)
        replayed = max(self._found.frames, default=-1)
        for number in range(longest(simulator)):
            recent.append(frame)
            self._views.append(self._view())
            seen = tracker.update(frame.ego.pose)
            lost = frame.collided or abs(seen.lateral) > OFF_ROUTE_M
            if lost or scene.route.length_m - seen.s < ROUTE_LEFT_M or wanted.missing <= 0:
                break
            looks = number % LOOK_FRAMES == 0 and number >= self._next_frame
            if looks and len(recent) == recent.maxlen:
                kind = self._kind(frame, seen.s, number, wanted)
                if kind is not None:
                    standing = abs(frame.ego.speed_mps) < STANDING_MPS
                    spacing = STANDING_SPACING_S if standing else SPACING_S
                    self._next_frame = number + job.frames(spacing)
                    info = {**facts, "kind": kind, "frame": number}
                    if number in self._found.frames or (
                        number > replayed and self._fork(expert, recent, info)
                    ):
                        wanted = wanted.with_one(kind)
            frame = simulator.step(driver.drive(frame))
        return wanted

    def _view(self) -> WorldView:
        """What there is to see now.

        Rain falls by the clock, which goes on from drive to drive, but not in a collection that was
        stopped.
        """
        view = self._simulator.view()
        return replace(view, stamp_ns=view.stamp_ns - self._begun_ns)

    def _kind(self, frame: SceneFrame, station: float, number: int, wanted: Quota) -> str | None:
        """The kind of situation that this is, if it is one that is wanted."""
        holds = kinds_now(self._simulator, frame, station)
        if not self._picky:
            return min(holds)
        if "light" in wanted.open and "light" not in holds and number >= self._next_green:
            scene = self._simulator.scene
            assert scene is not None
            light = green(scene, frame, station)
            if light is not None:
                self._next_green = number + self._job.frames(LOOK_EVERY_S)
                if self._green_ends(light):
                    holds.add("light")
        return next((kind for kind in wanted.open if kind in holds), None)

    def _green_ends(self, light: int) -> bool:
        """Whether a light that is green ends to be so soon, found out in a copy of the world."""
        simulator, frames = self._simulator, self._job.frames(GREEN_LEFT_S)

        def look() -> dict[str, np.ndarray]:
            now = simulator.frame().light_states[light]
            for _ in range(frames):
                if simulator.step(Command(0.0, -1.0)).light_states[light] != now:
                    return {"ends": np.array(True)}
            return {"ends": np.array(False)}

        return bool(in_fork(simulator, look)["ends"])

    def _fork(self, expert: Expert, recent: Sequence[SceneFrame], info: dict) -> bool:
        """Drive on in every way and store the branches; False when one of them failed."""
        job, number = self._job, self._found.situations
        assert self._simulator.scene is not None
        labeller = Labeller(self._simulator.scene, job.frame_dt)
        history = [labeller.label(frame) for frame in recent]
        facts = {"town": job.town, "seed": job.seed, "drive": self._found.drive, **info}
        facts |= {"situation": number, "fork_frame": len(recent) - 1}
        episodes = []
        try:
            past = self._painter.past(self._views) if self._painter is not None else None
            for branch, way in enumerate(WAYS):
                rng = job.rng(1, self._found.drive, info["frame"], branch)

                def work(way: str = way, rng: np.random.Generator = rng) -> Arrays:
                    arrays, views = drive_on(
                        job, self._simulator, labeller, expert, way, rng, history, self._view
                    )
                    if self._painter is not None and job.camera_after:
                        pictures = self._painter.draw([*views.values()])
                        arrays |= with_pictures(len(arrays["bev"]), [*views], pictures)
                    return arrays

                branched = {**facts, "branch": branch, "way": way}
                episodes.append((in_fork(self._simulator, work), branched))
            if past is not None:
                illustrate([arrays for arrays, _ in episodes], past)
        except BranchFailed:
            return False
        self._writer.append_episodes(episodes)
        self._found.situations += 1
        self._report(self._found.situations)
        return True


def drive_on(
    job: CounterfactualJob,
    simulator: Simulator,
    labeller: Labeller,
    expert: Expert,
    way: str,
    rng: np.random.Generator,
    history: Sequence[LabelledFrame],
    look: Callable[[], WorldView],
) -> tuple[dict[str, np.ndarray], dict[int, WorldView]]:
    """One branch: the history, then what comes of one way of going on.

    To be called in a forked copy: it steps the simulator and changes the expert.

    Args:
        job: gives the times.
        simulator, labeller, expert: of the drive, at the moment of the fork.
        way: one of ``WAYS``.
        rng: of its numbers.
        history: the present frame last.
        look: what there is to see now.

    Returns:
        Columns of the store, and what there is to see after each whole step, by frame.
    """
    frame, hold = simulator.frame(), job.frames(STEP_S)
    steps = round(BRANCH_S / STEP_S)
    expert.style = ExpertStyle(cruise_mps=expert.style.cruise_mps)
    go_on = plan(way, rng, steps, frame.ego.command, frame.ego.speed_mps)
    labelled, left = list(history), steps * hold
    views: dict[int, WorldView] = {}
    while left > 0:
        step = (len(labelled) - len(history)) // hold
        wish = expert.drive(frame)
        steer, accel = np.clip(go_on(step, wish, frame.ego.speed_mps), -1.0, 1.0)
        for _ in range(min(hold, left)):
            frame = simulator.step(Command(float(steer), float(accel)))
            labelled.append(labeller.label(frame))
            left = min(left - 1, FRAMES_AFTER_END) if labelled[-1].ended else left - 1
        views[len(labelled) - 1] = look()
    return episode_arrays(labelled), views


def collect(jobs: Sequence[CounterfactualJob], processes: int) -> None:
    """Run the jobs, see :func:`wm_training.town_jobs.run_jobs`."""
    run_jobs(jobs, collect_town, processes)
