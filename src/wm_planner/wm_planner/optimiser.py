"""The face of a sampling optimiser, and what all of them share: sampling around a warm start.

A planner asks it for sequences, imagines and scores them, and tells it the costs; as often as the
time allows. Everything here is knots, see :mod:`wm_planner.splines`. Symbols: N sequences, M knots.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from wm_planner.noise import colored_noise
from wm_planner.planner_config import PlannerConfig
from wm_planner.splines import Spline


class Optimiser(ABC):
    """Seeded, warm-started from frame to frame.

    Attributes:
        config: may be replaced between two frames by one with the same horizon and knots.
        spline: knots to steps and back.
        mean: (M, 2) where it searches.
    """

    def __init__(self, config: PlannerConfig, spline: Spline):
        self.config, self.spline = config, spline
        self.reset(config.seed)

    def reset(self, seed: int) -> None:
        """Forget the plan; draw the noise afresh from ``seed``."""
        self._rng = np.random.default_rng(seed)
        self.forget()

    def forget(self) -> None:
        """Forget the plan, but go on in the same noise."""
        self.mean = np.zeros((self.spline.knots, 2))
        self._kept = np.zeros((0, self.spline.knots, 2))
        self._best = np.zeros((0, self.spline.knots, 2))

    def begin(self) -> None:
        """A new frame: move the last plan and what was kept beside it on by one frame."""
        self.mean = self.spline.shifted(self.mean)
        self._kept = self.spline.shifted(self._kept)
        self._std = np.tile([self.config.steer_std, self.config.accel_std], (self.spline.knots, 1))
        self._iteration = 0

    def ask(self, proposals: np.ndarray) -> np.ndarray:
        """Sequences to try, (N, M, 2) within [-1, 1].

        Args:
            proposals: (P, M, 2) to try among them.
        """
        c = self.config
        count = max(2 * c.elites, int(c.candidates / c.decay**self._iteration))
        noise = colored_noise(self._rng, count, self.spline.knots, c.noise_beta)
        self._iteration += 1
        tried = [self.mean + self._std * noise, self.mean[None], self._kept, proposals]
        return np.clip(np.concatenate(tried), -1.0, 1.0)

    def tell(self, knots: np.ndarray, cost: np.ndarray) -> None:
        """What the sequences (N, M, 2) cost (N,); infinite: unusable. At least one is usable."""
        c = self.config
        usable = int(np.isfinite(cost).sum())
        order = np.argsort(cost, kind="stable")[: min(c.elites, usable)]
        self._best = knots[order]
        self._kept = self._best[: c.kept_elites]
        self._update(knots, cost)

    @abstractmethod
    def _update(self, knots: np.ndarray, cost: np.ndarray) -> None:
        """Move the mean (and the deviation) by the costs; ``_best`` are the elites, in order."""

    @abstractmethod
    def finalists(self, count: int) -> np.ndarray:
        """At most ``count`` sequences (F, M, 2) worth driving, its own answer first."""

    def commit(self, knots: np.ndarray) -> None:
        """The sequence (M, 2) that was chosen to be driven: the next frame starts from it."""
        self.mean = knots
