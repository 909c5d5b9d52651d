"""What comes after the horizon, as the critic of the model's learned behaviour sees it."""

from __future__ import annotations

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N,) the reward not expected."""
    assert future.value is not None, "asked for only where there is a critic"
    return -future.value
