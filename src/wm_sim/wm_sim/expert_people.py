"""People on foot, and anybody else who keeps to no lane: where they will be when the ego passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_sim.expert_path import HALF_WIDTH_M, Placed
from wm_sim.expert_speed import Limit, stop_at

HORIZON_S = 5.0
SLOWEST_MPS = 2.5  # the ego's speed in forecasts is at least this, or waiting would last for ever
MARGIN_M = 0.525  # kept to a person beside the path
SPREAD_M, SPREAD_MPS = 0.15, 0.25  # how uncertain a forecast is: now, and per second
BEFORE_S, AFTER_S = 0.8, 0.6  # the person is given this much time before and after the ego
STOP_SHORT_M = 2.5  # of a person
# Beside people close to the way the ego drives so slowly that it can stop when one steps out.
BESIDE_M, BESIDE_AHEAD_M, BESIDE_MPS = 1.2, 14.0, 5.0


@dataclass(frozen=True)
class Forecast:
    """When the ego is where the others are: (M,) seconds until its front and its rear are there."""

    arrives: np.ndarray
    clears: np.ndarray


def forecast(placed: Placed, front: float, length: float, speed: float) -> Forecast:
    """Arrival at each object by an ego that keeps its speed (m/s)."""
    pace = max(speed, SLOWEST_MPS)
    return Forecast(
        np.maximum(placed.rear - front - 0.5, 0.0) / pace,
        np.maximum(placed.front - front + length + 0.5, 0.0) / pace,
    )


def in_the_way(placed: Placed, when: Forecast, half_m: float) -> np.ndarray:
    """(M,) bool: the object will be within ``half_m`` of the path while the ego passes it.

    Constant velocity, with a spread that grows with time.
    """
    first = np.maximum(when.arrives - BEFORE_S, 0.0)
    last = np.minimum(when.clears + AFTER_S, HORIZON_S)
    spread = SPREAD_M + SPREAD_MPS * np.minimum(first, 2.0) * (np.abs(placed.across) > 0.1)
    moved = np.stack([placed.across * first, placed.across * last])
    right = placed.right_gap + moved.min(0) - spread
    left = placed.left_gap + moved.max(0) + spread
    return placed.on & (when.arrives < HORIZON_S) & (right < half_m) & (left > -half_m)


def person_limits(placed: Placed, front: float, length: float, speed: float) -> list[Limit]:
    """Where to stop for people on the path or about to be.

    Args:
        placed: people only.
        front: station of the ego's front bumper, m.
        length: of the ego, m.
        speed: of the ego, m/s.
    """
    if not len(placed):
        return []
    ahead = placed.front > front - 0.3
    half = HALF_WIDTH_M + MARGIN_M
    when = forecast(placed, front, length, speed)
    blocked = ahead & in_the_way(placed, when, half)
    limits = []
    for row in np.flatnonzero(blocked):
        gap = float(placed.rear[row]) - front
        if abs(placed.across[row]) < 0.3 and placed.along[row] > 0.3:  # walks ahead of the ego
            limits.append(Limit(gap - 1.0, float(placed.along[row]), "person"))
        else:
            limits.append(stop_at(max(gap - STOP_SHORT_M, 0.0), "person"))
            limits.append(Limit(gap, 0.0, "person"))
    return limits


def beside_speed(placed: Placed, front: float) -> float:
    """Speed (m/s) past people who stand or walk close to the path, inf without any."""
    if not len(placed):
        return np.inf
    near = placed.on & (placed.front > front) & (placed.rear < front + BESIDE_AHEAD_M)
    clear = np.maximum(placed.right_gap, -placed.left_gap) - HALF_WIDTH_M
    return BESIDE_MPS if bool((near & (clear < BESIDE_M)).any()) else np.inf
