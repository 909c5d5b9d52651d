"""A recorded drive, planned again by another model: what it would have wanted, frame by frame.

Open loop: the vehicle goes where it went in the recording, whatever is planned now. So this says
where two planners differ in the same situations, not how the other one would have driven.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wm_perception.conventions import to_map
from wm_perception.frame import SceneFrame
from wm_perception.sync_parts import TOLERANCE_NS
from wm_planner.driver import PlannerDriver
from wm_training.bag_frames import BagFrames, Moment, Sources
from wm_training.view.bag_index import BagIndex

AHEAD_S = (1.0, 2.0, 3.0)  # where the chosen plans are compared
NAN = math.nan


@dataclass(frozen=True)
class Wish:
    """What a planner wants in one frame; NaN where it is not known.

    Attributes:
        steer: left-positive, [-1, 1].
        accel: [-1, 1].
        ahead: (3,2) where its chosen plan is after ``AHEAD_S``, map frame, m.
        plan_ms: time taken.
        collision: P(collision) of the chosen plan.
        surprise: nats.
        doubt: level.
        path: (H,2) the chosen plan, map frame, m; empty where it is not known.
    """

    steer: float = NAN
    accel: float = NAN
    ahead: tuple[tuple[float, float], ...] = ((NAN, NAN),) * len(AHEAD_S)
    plan_ms: float = NAN
    collision: float = NAN
    surprise: float = NAN
    doubt: float = NAN
    path: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Pair:
    """Both wishes in one frame, ``t`` s after the first of the recording."""

    t: float
    before: Wish
    after: Wish

    def apart_m(self, number: int) -> float:
        """How far the chosen plans are apart after ``AHEAD_S[number]``; NaN if one is unknown."""
        return math.dist(self.before.ahead[number], self.after.ahead[number])


def along(path: np.ndarray, dt: float) -> tuple[tuple[float, float], ...]:
    """Positions after ``AHEAD_S`` of a path (H, 2) whose first point is ``dt`` ahead."""
    times = dt * np.arange(1, len(path) + 1)
    inside = [t if t <= times[-1] + 1e-6 else NAN for t in AHEAD_S]
    x, y = (np.interp(inside, times, path[:, i]) for i in range(2))
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


class RecordedWishes:
    """What was wanted when the recording was made.

    Attributes:
        index: of the recording.
        planned: the recording has a planner's proposals; else the commands count that the vehicle
            followed, whoever drove.
        model_hash: of the model that planned, empty if none did.
        role: role name of the vehicle.
    """

    @staticmethod
    def open(path: Path, role: str | None = None) -> RecordedWishes:
        """Of a recording.

        Raises:
            UserError: no recording, or nothing of a drive in it.
        """
        return RecordedWishes(BagIndex(path, role))

    def __init__(self, index: BagIndex):
        self.index, self.role = index, index.role
        self.planned = "control_proposal" in index.keys
        latent = index.at("latent", len(index) - 1)
        self.model_hash = latent.model_hash if latent is not None else ""
        self._stamps = index.stamps_ns

    def __str__(self) -> str:
        if not self.planned:
            return "no plans, so what the vehicle followed"
        return f"plans of model {self.model_hash[:8] or '(unknown)'}"

    def time_of(self, stamp_ns: int) -> float:
        """Where a stamp is on the time line of the recording, s."""
        return float(self.index.times_s[self._frame(stamp_ns)])

    def _frame(self, stamp_ns: int) -> int:
        return int(np.abs(self._stamps - stamp_ns).argmin())

    def at(self, stamp_ns: int) -> Wish:
        """The wish for the frame of a stamp."""
        frame = self._frame(stamp_ns)
        found: dict[str, Any] = {}
        if (message := self._answer("control_proposal", frame)) is not None:
            found |= {"steer": float(message.steer), "accel": float(message.accel)}
        elif not self.planned and frame + 1 < len(self.index):
            found |= self._followed(frame + 1)
        if (message := self._answer("imagined_rollouts", frame)) is not None:
            shape = (message.candidates, message.horizon)
            row = [np.reshape(v, shape)[message.chosen] for v in (message.x, message.y)]
            found |= _plan(np.stack(row, -1).astype(float), float(message.dt))
        if (message := self._answer("plan_statistics", frame)) is not None:
            found["plan_ms"] = float(message.plan_ms)
            found["collision"] = float(message.collision_probability)
            found["doubt"] = float(message.doubt_level)
        if (message := self._answer("latent", frame)) is not None:
            found["surprise"] = float(message.surprise)
        return Wish(**found)

    def _answer(self, key: str, frame: int) -> Any | None:
        """The message that answers this very frame."""
        message = self.index.at(key, frame)
        if message is None:
            return None
        stamp = message.header.stamp
        apart = stamp.sec * 1_000_000_000 + stamp.nanosec - int(self._stamps[frame])
        return message if abs(apart) <= TOLERANCE_NS else None

    def _followed(self, frame: int) -> dict[str, float]:
        status = self.index.at("vehicle_status", frame)
        if status is None:
            return {}
        control = status.control
        return {"steer": -float(control.steer), "accel": float(control.throttle - control.brake)}


def replanned(
    path: Path, driver: PlannerDriver, dt: float, recorded: RecordedWishes, seed: int = 0
) -> Iterator[Pair]:
    """Plan every frame of a recording again.

    Args:
        path: the recording.
        driver: who plans now.
        dt: seconds per imagined step of its model.
        recorded: what was wanted then.
        seed: of the planner.

    Raises:
        UserError: no recording, or no picture in it for a camera model.
    """
    sources = replace(Sources.of_model(driver.camera), role=recorded.role)
    scene = None
    for moment in BagFrames(path, sources):
        if moment.scene is not scene:
            scene = moment.scene
            driver.reset(scene, seed)
        frame = _with_picture(moment, driver)
        if frame is None:
            continue
        driver.drive(frame)
        stamp = frame.stamp_ns
        yield Pair(recorded.time_of(stamp), recorded.at(stamp), wish_of(driver, dt))


def _with_picture(moment: Moment, driver: PlannerDriver) -> SceneFrame | None:
    """The frame with what the driver looks at; None where that was not recorded."""
    if driver.camera is None:
        return moment.frame
    picture, age_s = moment.pictures[driver.camera.camera]
    return None if math.isnan(age_s) else replace(moment.frame, image=picture)


def _plan(path: np.ndarray, dt: float) -> dict[str, Any]:
    """What a :class:`Wish` says of a chosen plan."""
    return {"ahead": along(path, dt), "path": tuple(map(tuple, path.round(2).tolist()))}


def wish_of(driver: PlannerDriver, dt: float) -> Wish:
    """What a driver in process wanted last; ``dt`` is the step of its model, s."""
    plan, observation, filtered = driver.plan, driver.observation, driver.filtered
    assert plan is not None and observation is not None and filtered is not None
    path = to_map(plan.candidates[plan.chosen], observation.pose)
    return Wish(
        steer=plan.command.steer if plan.usable else NAN,
        accel=plan.command.accel if plan.usable else NAN,
        **_plan(path, dt),
        plan_ms=plan.plan_ms,
        collision=plan.collision_probability,
        surprise=float(filtered.surprise),
        doubt=float(plan.doubt.level),
    )
