"""Distance from the route, and the lane's edge."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts
LANE_SHARE = 5.0  # of what goes beyond the slack: who comes the other way has a lane, too
CAP_M2 = 25.0  # whoever is 5 m off must not pay so much that nothing else counts


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) squared distance from the route, more steeply out of the lane, m^2."""
    off = np.abs(future.lateral)
    over = np.maximum(off - config.lane_slack_m, 0.0)
    return np.minimum(off**2 + LANE_SHARE * over**2, CAP_M2)
