"""Keeping behind the vehicle ahead."""

from __future__ import annotations

import numpy as np

from wm_planner.braking import braking_hinge
from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig

IN_CPP = True  # plan_terms.cpp has it, too; without this line only this file counts


def score(future: Future, config: PlannerConfig) -> np.ndarray:
    """(N, H) too close to the leader to brake behind it."""
    heads = future.heads
    margin = config.leader_margin_m + config.leader_headway_s * future.speed
    gap, present, ahead = (heads[f"leader_{name}"] for name in ("gap", "presence", "speed"))
    return braking_hinge(future, gap, present, ahead, margin, config)
