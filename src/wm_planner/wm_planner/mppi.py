"""MPPI: the mean of all sequences, each weighted by how cheap it is.

Source: Williams et al., "Information-Theoretic Model Predictive Control", 2018, without its cost of
control: the cost terms have one of their own. The temperature adapts itself to the spread of the
costs, so that a given share of the sequences counts, whatever the weights of the terms are.
"""

from __future__ import annotations

import numpy as np

from wm_planner.optimiser import Optimiser, cheapest

SEARCH_STEPS = 40  # halvings of the logarithm of the temperature
TEMPERATURES = (1e-6, 1e6)  # times the spread of the costs


def effective_size(weights: np.ndarray) -> float:
    """How many sequences weights (N,) of sum 1 stand for: 1 / sum of squares (Kish 1965)."""
    return float(1.0 / np.square(weights).sum())


def softmin(cost: np.ndarray, temperature: float) -> np.ndarray:
    """Costs (N,), some infinite, at least one finite -> weights (N,) of sum 1."""
    weights = np.exp(-(cost - cost.min()) / temperature)
    return weights / weights.sum()


def temperature_for(cost: np.ndarray, size: float) -> float:
    """The temperature at which ``size`` of the costs (N,) count; found by bisection.

    The effective size grows with the temperature, from the number of cheapest to that of usable.
    """
    finite = cost[np.isfinite(cost)]
    spread = float(finite.max() - finite.min())
    if spread == 0.0:
        return 1.0
    low, high = np.log(np.multiply(TEMPERATURES, spread))
    for _ in range(SEARCH_STEPS):
        middle = 0.5 * (low + high)
        if effective_size(softmin(cost, np.exp(middle))) < size:
            low = middle
        else:
            high = middle
    return float(np.exp(high))


def average(
    knots: np.ndarray, cost: np.ndarray, elites: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Look next at the weighted mean.

    Args:
        knots: (N, M, 2) what was tried.
        cost: (N,) infinite: unusable. At least one is usable.
        elites: how many of the cheapest to return at most.
        share: of the usable sequences that shall count.

    Returns:
        The cheapest (E, M, 2), in order, and the mean (M, 2).
    """
    size = max(1.0, share * int(np.isfinite(cost).sum()))
    weights = softmin(cost, temperature_for(cost, size))
    return knots[cheapest(cost, elites)], np.tensordot(weights, knots, 1)


class Mppi(Optimiser):
    """Weighted mean; the deviation stays, so that every frame searches as widely."""

    def _update(self, knots: np.ndarray, cost: np.ndarray) -> np.ndarray:
        c = self.config
        best, self.mean = self._arithmetic.average(knots, cost, c.elites, c.effective_share)
        return best

    def finalists(self, count: int) -> np.ndarray:
        """The mean, and halfway from it to each of the best."""
        others = 0.5 * self._best[: count - 1] + 0.5 * self.mean
        return np.concatenate([self.mean[None], others])
