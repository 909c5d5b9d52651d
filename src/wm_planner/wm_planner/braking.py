"""What stopping takes, compared with the room there is: shared by leader and stop line."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

# A braking-distance violation costs no more than this per step: one bad step must not hide another.
HINGE_CAP = 150.0


def braking_hinge(
    future: Future,
    gap: np.ndarray,
    present: np.ndarray,
    ahead_speed: np.ndarray | float,
    margin: np.ndarray | float,
    config: PlannerConfig,
) -> np.ndarray:
    """(N, H) squared shortfall of the gap against the braking distance plus a margin, while moving.

    ``gap``, ``present``, ``ahead_speed`` and ``margin`` are (N, H), or one number for all.
    """
    deceleration = config.comfortable_deceleration
    braking = np.maximum(future.speed**2 - ahead_speed**2, 0.0) / (2.0 * deceleration)
    shortfall = np.maximum(braking + margin - gap, 0.0)
    return np.minimum(shortfall**2, HINGE_CAP) * present * future.moving
