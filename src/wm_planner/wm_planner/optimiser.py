"""The face of a sampling optimiser, and what all of them share: sampling around a warm start.

A planner asks it for sequences, imagines and scores them, and tells it the costs; as often as the
time allows. Everything here is knots, see :mod:`wm_planner.splines`. Symbols: N sequences, M knots.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from wm_planner.arithmetic import Arithmetic, Around
from wm_planner.philox import Draw
from wm_planner.planner_config import PlannerConfig
from wm_planner.splines import Spline


def cheapest(cost: np.ndarray, count: int) -> np.ndarray:
    """Rows of the cheapest of (N,), cheapest first; at most ``count``, none that is infinite."""
    usable = int(np.isfinite(cost).sum())
    return np.argsort(cost, kind="stable")[: min(count, usable)]


class Optimiser(ABC):
    """Seeded, warm-started from frame to frame.

    Attributes:
        config: may be replaced between two frames by one with the same horizon and knots.
        spline: knots to steps and back.
        mean: (M, 2) where it searches.
    """

    def __init__(self, config: PlannerConfig, spline: Spline, arithmetic: Arithmetic):
        """Args: parameters; between knots and steps; who does the sums."""
        self.config, self.spline, self._arithmetic = config, spline, arithmetic
        self.reset(config.seed)

    def reset(self, seed: int) -> None:
        """Forget the plan; draw the noise afresh from ``seed``."""
        self._draw = Draw(seed, 0, 0)
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
        self._draw = Draw(self._draw.seed, self._draw.plan + 1, 0)

    @property
    def draw(self) -> Draw:
        """What the noise of the next sequences is drawn by."""
        return self._draw

    def ask(self, proposals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sequences to try: knots (N, M, 2) and actions (N, H, 2), within [-1, 1].

        Args:
            proposals: (P, M, 2) to try among them.
        """
        c, draw = self.config, self._draw
        self._draw = Draw(draw.seed, draw.plan, draw.iteration + 1)
        return self._arithmetic.sample(
            draw,
            max(2 * c.elites, int(c.candidates / c.decay**draw.iteration)),
            c.noise_beta,
            Around(self.mean, self._std),
            np.concatenate([self.mean[None], self._kept, proposals]),
            self.spline,
        )

    def tell(self, knots: np.ndarray, cost: np.ndarray) -> None:
        """What the sequences (N, M, 2) cost (N,); infinite: unusable. At least one is usable."""
        self._best = self._update(knots, cost)
        self._kept = self._best[: self.config.kept_elites]

    @abstractmethod
    def _update(self, knots: np.ndarray, cost: np.ndarray) -> np.ndarray:
        """Move the mean (and the deviation) by the costs; the elites (E, M, 2), in order."""

    @abstractmethod
    def finalists(self, count: int) -> np.ndarray:
        """At most ``count`` sequences (F, M, 2) worth driving, its own answer first."""

    def commit(self, knots: np.ndarray) -> None:
        """The sequence (M, 2) that was chosen to be driven: the next frame starts from it."""
        self.mean = knots
