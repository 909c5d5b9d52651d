"""The arithmetic of a plan in C++: ``runtime/plan*`` of the engine, see docs/runtime.md.

Cost terms that are in Python alone are scored there and handed over with the rest.
"""

from __future__ import annotations

import numpy as np

from wm_dynamics.engine import extension
from wm_dynamics.errors import UserError
from wm_planner import costs
from wm_planner.arithmetic import Arithmetic, Around
from wm_planner.arithmetic_numpy import NumpyArithmetic
from wm_planner.noise import waves
from wm_planner.outcome import Outcome
from wm_planner.philox import Draw
from wm_planner.planner_config import PlannerConfig
from wm_planner.splines import Spline

LIMITS = ("lane_slack_m", "max_lateral_acceleration", "comfortable_deceleration",
          "leader_margin_m", "leader_headway_s", "stop_margin_m")  # fmt: skip


def fastest_arithmetic() -> Arithmetic:
    """C++ where the engine was built, else numpy."""
    try:
        return CppArithmetic()
    except UserError:
        return NumpyArithmetic()


class CppArithmetic:
    """See :class:`wm_planner.arithmetic.Arithmetic`."""

    name = "cpp"

    def __init__(self) -> None:
        """Find the engine.

        Raises:
            UserError: it was not built.
        """
        self._engine = extension()

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
        return self._engine.plan_sample(
            *draw.words, count, around.mean, around.std, waves(spline.knots, beta),
            spline.steps_of, others,
        )  # fmt: skip

    def score(
        self, outcome: Outcome, config: PlannerConfig, trust: np.ndarray, risk_factor: float
    ) -> costs.Scored:
        """See the face."""
        weights = costs.weights_of(config, risk_factor)
        own = {name: weight for name, weight in weights.items() if name in costs.IN_CPP}
        others = {name: weight for name, weight in weights.items() if name not in own}
        more = np.zeros((0, len(outcome.speed)))
        if others:
            more = costs.weighed(outcome.future(), config, trust, others)
        found = self._engine.plan_score(
            path=outcome.path,
            speed=outcome.speed,
            actions=outcome.actions,
            heads=outcome.heads,
            disagreement=outcome.disagreement,
            reference=outcome.reference,
            trust=trust,
            dt=outcome.dt,
            weights=own,
            before=outcome.before.tolist(),
            wanted_mps=outcome.wanted_mps,
            **{name: getattr(config, name) for name in LIMITS},
            more=more,
        )
        return costs.Scored((*own, *others), *found)

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
        best, mean, std = self._engine.plan_narrow(
            knots, cost, elites, around.mean, around.std, momentum, min_std
        )
        return best, Around(mean, std)

    def average(
        self, knots: np.ndarray, cost: np.ndarray, elites: int, share: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """See the face."""
        return self._engine.plan_average(knots, cost, elites, share)
