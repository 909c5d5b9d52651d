"""How two planners differ over a recorded drive: spreads, and the moments that differ most."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from wm_training.replay_plans import AHEAD_S, Pair

BRAKES, GOES = -0.1, 0.1  # acceleration wanted, as a share
WORST = 5


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


_MEASURES = (
    lambda p: p.after.steer - p.before.steer,
    lambda p: p.after.accel - p.before.accel,
    *(partial(Pair.apart_m, number=number) for number in range(len(AHEAD_S))),
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
    measured = [(p.apart_m(last), p) for p in pairs]
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
