"""Stopping before red and yellow lights."""

from __future__ import annotations

import numpy as np

from wm_planner.braking import braking_hinge
from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) too close to a red or yellow stop line to stop before it."""
    gap, present = future.heads["stop_distance"], future.heads["stop_presence"]
    return braking_hinge(future, gap, present, 0.0, config.stop_margin_m, config)
