"""The road's edge."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) probability of leaving the road."""
    return future.heads["off_road"]
