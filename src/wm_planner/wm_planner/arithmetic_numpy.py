"""The arithmetic of a plan in numpy: the specification, and what runs without a C++ compiler."""

from __future__ import annotations

import numpy as np

from wm_planner import costs, icem, mppi
from wm_planner.arithmetic import Around
from wm_planner.noise import colored_noise
from wm_planner.outcome import Outcome
from wm_planner.philox import Draw
from wm_planner.planner_config import PlannerConfig
from wm_planner.splines import Spline


class NumpyArithmetic:
    """See :class:`wm_planner.arithmetic.Arithmetic`."""

    name = "numpy"

    def sample(
        self,
        draw: Draw,
        count: int,
        beta: float,
        around: Around,
        others: np.ndarray,
        spline: Spline,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See the face."""
        noise = colored_noise(draw, count, spline.knots, beta)
        tried = np.concatenate([around.mean + around.std * noise, others])
        knots = np.clip(tried, -1.0, 1.0)
        return knots, spline.steps(knots)

    def score(
        self, outcome: Outcome, config: PlannerConfig, trust: np.ndarray, risk_factor: float
    ) -> costs.Scored:
        """See the face."""
        return costs.total(outcome.future(), config, trust, risk_factor)

    def narrow(
        self,
        knots: np.ndarray,
        cost: np.ndarray,
        elites: int,
        around: Around,
        momentum: float,
        min_std: float,
    ) -> tuple[np.ndarray, Around]:
        """See the face."""
        return icem.narrow(knots, cost, elites, around, momentum, min_std)

    def average(
        self, knots: np.ndarray, cost: np.ndarray, elites: int, share: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """See the face."""
        return mppi.average(knots, cost, elites, share)
