"""Direction of travel."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) squared heading error, worse at speed."""
    return future.heading_error**2 * (1.0 + future.speed)
