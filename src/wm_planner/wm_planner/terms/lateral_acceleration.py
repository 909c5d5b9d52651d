"""Comfort in bends."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) squared excess over the comfortable lateral acceleration."""
    excess = np.abs(future.speed * future.yaw_rate) - config.max_lateral_acceleration
    return np.maximum(excess, 0.0) ** 2
