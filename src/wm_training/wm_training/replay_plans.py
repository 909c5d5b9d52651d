"""A recorded drive, planned again by another model: what it would have wanted, frame by frame.

Open loop: the vehicle goes where it went in the recording, whatever is planned now. So this says
where two planners differ in the same situations, not how the other one would have driven.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
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
BRAKES, GOES = -0.1, 0.1  # acceleration wanted, as a share
WORST = 5
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
    """

    steer: float = NAN
    accel: float = NAN
    ahead: tuple[tuple[float, float], ...] = ((NAN, NAN),) * len(AHEAD_S)
    plan_ms: float = NAN
    collision: float = NAN
    surprise: float = NAN
    doubt: float = NAN


@dataclass(frozen=True)
class Pair:
    """Both wishes in one frame, ``t`` s after the first."""

    t: float
    before: Wish
    after: Wish


def along(path: np.ndarray, dt: float) -> tuple[tuple[float, float], ...]:
    """Positions after ``AHEAD_S`` of a path (H, 2) whose first point is ``dt`` ahead."""
    times = dt * np.arange(1, len(path) + 1)
    inside = [t if t <= times[-1] + 1e-6 else NAN for t in AHEAD_S]
    x, y = (np.interp(inside, times, path[:, i]) for i in range(2))
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


class RecordedWishes:
    """What was wanted when the recording was made.

    Attributes:
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
        self._index, self.role = index, index.role
        self.planned = "control_proposal" in index.keys
        latent = index.at("latent", len(index) - 1)
        self.model_hash = latent.model_hash if latent is not None else ""
        self._stamps = index.stamps_ns

    def __str__(self) -> str:
        if not self.planned:
            return "no plans, so what the vehicle followed"
        return f"plans of model {self.model_hash[:8] or '(unknown)'}"

    def at(self, stamp_ns: int) -> Wish:
        """The wish for the frame of a stamp."""
        frame = int(np.abs(self._stamps - stamp_ns).argmin())
        found: dict[str, Any] = {}
        if (message := self._answer("control_proposal", frame)) is not None:
            found |= {"steer": float(message.steer), "accel": float(message.accel)}
        elif not self.planned and frame + 1 < len(self._index):
            found |= self._followed(frame + 1)
        if (message := self._answer("imagined_rollouts", frame)) is not None:
            shape = (message.candidates, message.horizon)
            row = [np.reshape(v, shape)[message.chosen] for v in (message.x, message.y)]
            found["ahead"] = along(np.stack(row, -1).astype(float), float(message.dt))
        if (message := self._answer("plan_statistics", frame)) is not None:
            found["plan_ms"] = float(message.plan_ms)
            found["collision"] = float(message.collision_probability)
            found["doubt"] = float(message.doubt_level)
        if (message := self._answer("latent", frame)) is not None:
            found["surprise"] = float(message.surprise)
        return Wish(**found)

    def _answer(self, key: str, frame: int) -> Any | None:
        """The message that answers this very frame."""
        message = self._index.at(key, frame)
        if message is None:
            return None
        stamp = message.header.stamp
        apart = stamp.sec * 1_000_000_000 + stamp.nanosec - int(self._stamps[frame])
        return message if abs(apart) <= TOLERANCE_NS else None

    def _followed(self, frame: int) -> dict[str, float]:
        status = self._index.at("vehicle_status", frame)
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
    scene, first_ns = None, None
    for moment in BagFrames(path, sources):
        if moment.scene is not scene:
            scene = moment.scene
            driver.reset(scene, seed)
        frame = _with_picture(moment, driver)
        if frame is None:
            continue
        first_ns = frame.stamp_ns if first_ns is None else first_ns
        driver.drive(frame)
        t = (frame.stamp_ns - first_ns) * 1e-9
        yield Pair(t, recorded.at(frame.stamp_ns), wish_of(driver, dt))


def _with_picture(moment: Moment, driver: PlannerDriver) -> SceneFrame | None:
    """The frame with what the driver looks at; None where that was not recorded."""
    if driver.camera is None:
        return moment.frame
    picture, age_s = moment.pictures[driver.camera.camera]
    return None if math.isnan(age_s) else replace(moment.frame, image=picture)


def wish_of(driver: PlannerDriver, dt: float) -> Wish:
    """What a driver in process wanted last; ``dt`` is the step of its model, s."""
    plan, observation, filtered = driver.plan, driver.observation, driver.filtered
    assert plan is not None and observation is not None and filtered is not None
    path = to_map(plan.candidates[plan.chosen], observation.pose)
    return Wish(
        steer=plan.command.steer if plan.usable else NAN,
        accel=plan.command.accel if plan.usable else NAN,
        ahead=along(path, dt),
        plan_ms=plan.plan_ms,
        collision=plan.collision_probability,
        surprise=float(filtered.surprise),
        doubt=float(plan.doubt.level),
    )


# ------------------------------------------------------------------ the difference


def difference(pairs: list[Pair]) -> dict[str, Any]:
    """How two planners differ: medians and 95th percentiles over the frames that have both.

    ``opposite_share``: one brakes while the other accelerates. ``worst``: the moments at which the
    plans are furthest apart.
    """
    steer, accel, *apart = (_column(pairs, measure) for measure in _MEASURES)
    opposite = [
        {_pedal(p.before.accel), _pedal(p.after.accel)} == {-1, 1}
        for p in pairs
        if math.isfinite(p.before.accel) and math.isfinite(p.after.accel)
    ]
    return {
        "frames": len(pairs),
        "steer": _spread(abs(steer)),
        "accel": _spread(abs(accel)),
        "opposite_share": float(np.mean(opposite)) if opposite else None,
        "apart_m": {f"{s:g} s": _spread(d) for s, d in zip(AHEAD_S, apart, strict=True)},
        **{
            name: {
                "before": _median([getattr(p.before, name) for p in pairs]),
                "after": _median([getattr(p.after, name) for p in pairs]),
            }
            for name in ("plan_ms", "collision", "surprise", "doubt")
        },
        "worst": _worst(pairs),
    }


def _apart(number: int):
    def metres(pair: Pair) -> float:
        return math.dist(pair.before.ahead[number], pair.after.ahead[number])

    return metres


_MEASURES = (
    lambda p: p.after.steer - p.before.steer,
    lambda p: p.after.accel - p.before.accel,
    *(_apart(number) for number in range(len(AHEAD_S))),
)


def _column(pairs: list[Pair], measure) -> np.ndarray:
    return np.array([measure(pair) for pair in pairs], float)


def _pedal(accel: float) -> int:
    return -1 if accel < BRAKES else 1 if accel > GOES else 0


def _spread(values: np.ndarray) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"median": None, "p95": None}
    return {"median": float(np.median(known)), "p95": float(np.percentile(known, 95))}


def _median(values: list[float]) -> float | None:
    return _spread(np.array(values, float))["median"]


def _worst(pairs: list[Pair]) -> list[dict[str, float]]:
    """Moments at least a second apart, furthest plans first; by steering where no plan is known."""
    last = len(AHEAD_S) - 1
    measured = [(_apart(last)(p), p) for p in pairs]
    if not any(math.isfinite(value) for value, _ in measured):
        measured = [(abs(p.after.steer - p.before.steer), p) for p in pairs]
    ranked = sorted((m for m in measured if math.isfinite(m[0])), key=lambda m: -m[0])
    chosen: list[tuple[float, Pair]] = []
    for value, pair in ranked:
        if len(chosen) < WORST and all(abs(pair.t - other.t) >= 1.0 for _, other in chosen):
            chosen.append((value, pair))
    return [
        {
            "t": round(pair.t, 2),
            "difference": value,
            **{f"{name}_{which}": getattr(wish, name)
               for which, wish in (("before", pair.before), ("after", pair.after))
               for name in ("steer", "accel")},
        }
        for value, pair in chosen
    ]  # fmt: skip


def rows(pairs: list[Pair]) -> list[dict[str, Any]]:
    """Every frame, for the JSON; None for what is not known."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(v) for key, v in value.items()}
        if isinstance(value, list | tuple):
            return [clean(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return [clean(asdict(pair)) for pair in pairs]
