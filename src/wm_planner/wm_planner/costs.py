"""The table of cost terms: what the planner wants, weighed over imagined futures at run time.

A term is a module of :mod:`wm_planner.terms` with one function ``score``: a :class:`Future` and the
parameters in, a cost before its weight out, lower is better; (N, H) at every imagined step, or (N,)
where it judges a future as a whole. Its name is that of its weight in ``CostWeights``. A term that
says ``IN_CPP`` is scored in C++ where the engine was built.

Symbols: N candidates, H imagined steps, T terms.
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


_MODULES = (
    lateral, heading, speed, lateral_acceleration, leader, stop_line, collision, near, off_road,
    red_light, smoothness, disagreement, value,
)  # fmt: skip
_NAMES = {module.__name__.rpartition(".")[2]: module for module in _MODULES}
TERMS: dict[str, Term] = {name: module.score for name, module in _NAMES.items()}
# Terms that runtime/plan_terms.cpp has, too, and says the same.
IN_CPP = frozenset(name for name, module in _NAMES.items() if getattr(module, "IN_CPP", False))

RISKS = ("collision", "near", "off_road", "red_light", "disagreement")  # weigh more in doubt


@dataclass(frozen=True)
class Scored:
    """What N futures cost.

    Attributes:
        names: of the T terms that have a weight.
        table: (T, N) weighted terms.
        total: (N,) their sum; infinite where something is not finite.
        means: (T,) of each term, mean over the usable futures; NaN where there are none.
        least: (T,) likewise, the least.
    """

    names: tuple[str, ...]
    table: np.ndarray
    total: np.ndarray
    means: np.ndarray
    least: np.ndarray

    @property
    def terms(self) -> dict[str, np.ndarray]:
        """Name -> (N,) weighted."""
        return dict(zip(self.names, self.table, strict=True))

    @property
    def usable(self) -> bool:
        """Whether any of them can be driven."""
        return bool(np.isfinite(self.total).any())


def weights_of(config: PlannerConfig, risk_factor: float) -> dict[str, float]:
    """Terms that have a weight, and the weight."""
    weights = dict(config.weights)
    return {
        name: weights[name] * (risk_factor if name in RISKS else 1.0)
        for name in TERMS
        if weights[name]
    }


def weighed(
    future: Future, config: PlannerConfig, trust: np.ndarray, weights: dict[str, float]
) -> np.ndarray:
    """(T, N) terms times their weights, averaged over the steps as far as those are trusted."""
    share = trust / trust.sum()
    table = np.zeros((len(weights), len(future.speed)))
    for row, (name, weight) in enumerate(weights.items()):
        cost = TERMS[name](future, config)
        table[row] = weight * (cost @ share if cost.ndim == 2 else cost)
    return table


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
    weights = weights_of(config, risk_factor)
    table = weighed(future, config, trust, weights)
    summed = table.sum(0)
    finite = np.isfinite(summed)
    for metres in (future.speed, future.lateral):  # whatever the weights are
        finite &= np.isfinite(metres).all(1)
    means = least = np.full(len(weights), np.nan)
    if finite.any():
        means, least = table[:, finite].mean(1), table[:, finite].min(1)
    return Scored(tuple(weights), table, np.where(finite, summed, np.inf), means, least)
