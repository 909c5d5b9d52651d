"""Steady hands."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts
SHARES = np.array([3.0, 0.25])  # of steer and accel: steering counts most


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) squared changes of the command."""
    before = np.broadcast_to(future.before, (len(future.actions), 1, 2))
    change = np.diff(np.concatenate([before, future.actions], 1), axis=1)
    return change**2 @ SHARES
