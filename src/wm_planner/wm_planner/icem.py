"""iCEM: narrow a distribution down on the best sequences.

Source: Pinneri et al., "Sample-efficient Cross-Entropy Method for Real-time Planning", 2020:
coloured noise, kept elites, shrinking populations, a warm start shifted in time.
"""

from __future__ import annotations

import numpy as np

from wm_planner.arithmetic import Around
from wm_planner.optimiser import Optimiser, cheapest


def narrow(
    knots: np.ndarray,
    cost: np.ndarray,
    elites: int,
    around: Around,
    momentum: float,
    min_std: float,
) -> tuple[np.ndarray, Around]:
    """Look next where the cheapest sequences lie.

    Args:
        knots: (N, M, 2) what was tried.
        cost: (N,) infinite: unusable. At least one is usable.
        elites: so many of them at most are looked at.
        around: where was searched.
        momentum: weight of ``around``.
        min_std: the deviation does not shrink below.

    Returns:
        The elites (E, M, 2), cheapest first, and where to search next.
    """
    best = knots[cheapest(cost, elites)]
    mean = momentum * around.mean + (1 - momentum) * best.mean(0)
    std = momentum * around.std + (1 - momentum) * best.std(0)
    return best, Around(mean, np.maximum(std, min_std))


class Icem(Optimiser):
    """Mean and deviation of the elites."""

    def _update(self, knots: np.ndarray, cost: np.ndarray) -> np.ndarray:
        c = self.config
        best, around = self._arithmetic.narrow(
            knots, cost, c.elites, Around(self.mean, self._std), c.momentum, c.min_std
        )
        self.mean, self._std = around.mean, around.std
        return best

    def finalists(self, count: int) -> np.ndarray:
        """Halfway between each of the best and the elites' mean: that is smooth, the best sharp."""
        return 0.5 * self._best[:count] + 0.5 * self.mean
