"""Red lights."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts
CREEP_MPS = 0.5  # the model is unsure about who stands on the line


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) probability of having run a red light, while moving."""
    return future.heads["red_violation"] * (future.speed > CREEP_MPS)
