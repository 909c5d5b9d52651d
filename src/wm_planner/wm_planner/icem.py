"""iCEM: narrow a distribution down on the best sequences.

Source: Pinneri et al., "Sample-efficient Cross-Entropy Method for Real-time Planning", 2020:
coloured noise, kept elites, shrinking populations, a warm start shifted in time.
"""

from __future__ import annotations

import numpy as np

from wm_planner.optimiser import Optimiser


class Icem(Optimiser):
    """Mean and deviation of the elites."""

    def _update(self, knots: np.ndarray, cost: np.ndarray) -> None:
        c, best = self.config, self._best
        self.mean = c.momentum * self.mean + (1 - c.momentum) * best.mean(0)
        std = c.momentum * self._std + (1 - c.momentum) * best.std(0)
        self._std = np.maximum(std, c.min_std)

    def finalists(self, count: int) -> np.ndarray:
        """Halfway between each of the best and the elites' mean: that is smooth, the best sharp."""
        return 0.5 * self._best[:count] + 0.5 * self.mean
