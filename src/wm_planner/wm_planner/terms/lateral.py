"""Distance from the route."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts
CAP_M2 = 25.0  # whoever is 5 m off must not pay so much that nothing else counts


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) squared distance from the route, m^2."""
    return np.minimum(future.lateral**2, CAP_M2)
