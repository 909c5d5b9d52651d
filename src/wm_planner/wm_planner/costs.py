"""The table of cost terms: what the planner wants, weighed over imagined futures at run time.

A term is a module of :mod:`wm_planner.terms` with one function ``score``: a :class:`Future` and the
parameters in, a cost before its weight out, lower is better; (N, H) at every imagined step, or (N,)
where it judges a future as a whole. Its name is that of its weight in ``CostWeights``.

Symbols: N candidates, H imagined steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wm_planner.future import Future
from wm_planner.planner_config import PlannerConfig
from wm_planner.terms import (
    collision,
    disagreement,
    heading,
    lateral,
    lateral_acceleration,
    leader,
    near,
    off_road,
    red_light,
    smoothness,
    speed,
    stop_line,
    value,
)


class Term(Protocol):
    """One cost term."""

    def __call__(self, future: Future, config: PlannerConfig) -> np.ndarray:
        """(N, H) or (N,), not weighted."""
        ...


TERMS: dict[str, Term] = {
    module.__name__.rpartition(".")[2]: module.score
    for module in (
        lateral, heading, speed, lateral_acceleration, leader, stop_line, collision, near, off_road,
        red_light, smoothness, disagreement, value,
    )
}  # fmt: skip

RISKS = ("collision", "near", "off_road", "red_light", "disagreement")  # weigh more in doubt


@dataclass(frozen=True)
class Scored:
    """What N futures cost.

    Attributes:
        total: (N,) weighted sum; infinite where something is not finite.
        terms: name -> (N,) weighted; terms without weight are left out.
    """

    total: np.ndarray
    terms: dict[str, np.ndarray]

    @property
    def usable(self) -> bool:
        """Whether any of them can be driven."""
        return bool(np.isfinite(self.total).any())


def total(
    future: Future, config: PlannerConfig, trust: np.ndarray, risk_factor: float = 1.0
) -> Scored:
    """Weigh all terms.

    Args:
        future: N futures of H steps.
        config: weights, and what the terms need.
        trust: (H,) in [0, 1], how much each step counts; the same for all, so that nobody is cheap
            because he is doubtful.
        risk_factor: that the weights of ``RISKS`` are multiplied by.
    """
    share = trust / trust.sum()
    weights = config.weights.model_dump()
    terms = {}
    for name, term in TERMS.items():
        if weights[name]:
            cost = term(future, config)
            cost = cost @ share if cost.ndim == 2 else cost
            terms[name] = weights[name] * (risk_factor if name in RISKS else 1.0) * cost
    summed = np.sum(list(terms.values()), axis=0) + np.zeros(len(future.speed))
    finite = np.isfinite(summed)
    for metres in (future.speed, future.lateral):  # whatever the weights are
        finite &= np.isfinite(metres).all(1)
    return Scored(np.where(finite, summed, np.inf), terms)
