"""What to make of futures that the members of the ensemble see differently.

Symbols: K members, F finalists (sequences that may be driven), H steps, S checked steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_planner.planner_config import RiskConfig


@dataclass(frozen=True)
class Choice:
    """Which of the finalists is driven.

    Attributes:
        row: of the finalists.
        feasible: whether it keeps the bound on the probability of a collision.
        collision_probability: its own, by the worst member.
    """

    row: int
    feasible: bool
    collision_probability: float


def cvar(costs: np.ndarray, alpha: float) -> np.ndarray:
    """Conditional value at risk: the mean of the worst share ``alpha`` of K equally likely costs.

    Args:
        costs: (K, F).
        alpha: in (0, 1]; a share that is no whole number of members takes a part of one.

    Returns:
        (F,). Source: Rockafellar and Uryasev, "Optimization of conditional value-at-risk", 2000.
    """
    worst_first = -np.sort(-costs, axis=0)
    members = len(costs)
    mass = np.clip(alpha * members - np.arange(members), 0.0, 1.0)
    # Infinity times a share of nothing is nothing.
    counted = np.where(mass[:, None] > 0.0, worst_first, 0.0)
    return mass @ counted / mass.sum()


def risk_adjusted(costs: np.ndarray, config: RiskConfig) -> np.ndarray:
    """(K, F) costs -> (F,): CVaR plus beta standard deviations; infinite where one is."""
    finite = np.isfinite(costs).all(0)
    known = np.where(finite, costs, 0.0)
    adjusted = cvar(known, config.cvar_alpha) + config.beta * known.std(0)
    return np.where(finite, adjusted, np.inf)


def worst_collision(collision: np.ndarray, moving: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Probability of a collision in the worst step, by the worst member.

    Who stands cannot run into anybody, and what is not trusted is not held against a plan.

    Args:
        collision: (K, F, H) probability in each step; one that is not a number counts as 1.
        moving: (K, F, H) bool.
        trust: (H,) in [0, 1].

    Returns:
        (F,).
    """
    chance = np.where(np.isnan(collision), 1.0, collision) * moving * (trust > 0.0)
    return chance.max((0, 2))


def choose(costs: np.ndarray, collision: np.ndarray, config: RiskConfig) -> Choice:
    """The first finalist if it keeps the bound, else the cheapest that does, else the safest.

    The first is the search's own answer. Where neither ``beta`` nor ``cvar_alpha`` prices what the
    members disagree about, their mean says nothing that the search has not weighed already over
    many more futures.

    Args:
        costs: (K, F) by each member; at least one finalist's are all finite.
        collision: (F,), see :func:`worst_collision`.
    """
    usable = np.isfinite(costs).all(0)
    allowed = usable & (collision <= config.max_collision_probability)
    if allowed[0] and not config.members_rank:
        return Choice(0, True, float(collision[0]))
    adjusted = risk_adjusted(costs, config)
    if allowed.any():
        row = int(np.where(allowed, adjusted, np.inf).argmin())
    else:
        row = int(np.lexsort((adjusted, np.where(usable, collision, np.inf)))[0])
    return Choice(row, bool(allowed.any()), float(collision[row]))


def trust_in_steps(
    spreads: np.ndarray, checked: list[int], horizon: int, unit: float | None, config: RiskConfig
) -> np.ndarray:
    """How much each imagined step counts: 1, falling to 0 beyond the budget of disagreement.

    One answer for all candidates: with a horizon of his own, the most doubtful would look best.

    Args:
        spreads: (N, S) disagreement at the checked steps.
        checked: their indices.
        horizon: H.
        unit: 99th percentile of disagreement in usual driving; None: not known, all steps count.
        config: the budget.

    Returns:
        (H,), never rising, 1 for the first ``least_steps``.
    """
    if unit is None or config.horizon_budget == 0.0 or spreads.shape[1] != len(checked):
        return np.ones(horizon)
    known = spreads[np.isfinite(spreads).all(1)]
    trust = np.zeros(horizon)
    if len(known):
        ordered, middle = np.sort(known, axis=0), len(known) // 2
        median = 0.5 * (ordered[middle] + ordered[-1 - middle])  # np.median takes ten times as long
        level = np.interp(np.arange(horizon), checked, median)
        trust = np.clip(2.0 - level / (config.horizon_budget * unit), 0.0, 1.0)
    trust[: config.least_steps] = 1.0
    return np.minimum.accumulate(trust)
