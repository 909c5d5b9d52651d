"""The arithmetic of a plan around the rollouts, behind one face: numpy or C++.

numpy's (:mod:`wm_planner.arithmetic_numpy`) is the specification and runs everywhere. The C++
engine's (:mod:`wm_planner.arithmetic_cpp`) is tested against it: sampled sequences are the same to
the bit, what follows from costs to the last digits. Symbols: N sequences, M knots, H steps,
E elites, P sequences that are not sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wm_planner.philox import Draw
from wm_planner.splines import Spline

if TYPE_CHECKING:
    from wm_planner.costs import Scored
    from wm_planner.outcome import Outcome
    from wm_planner.planner_config import PlannerConfig


@dataclass(frozen=True)
class Around:
    """Where a search looks: (M, 2) mean and deviation of the knots."""

    mean: np.ndarray
    std: np.ndarray


class Arithmetic(Protocol):
    """What a plan calculates; without state.

    Attributes:
        name: for people.
    """

    name: str

    def sample(
        self,
        draw: Draw,
        count: int,
        beta: float,
        around: Around,
        others: np.ndarray,
        spline: Spline,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sequences to try: ``count`` with coloured noise, and ``others`` (P, M, 2).

        Returns:
            Knots (N, M, 2) and actions (N, H, 2), within [-1, 1].
        """
        ...

    def score(
        self, outcome: Outcome, config: PlannerConfig, trust: np.ndarray, risk_factor: float
    ) -> Scored:
        """What futures cost, see :func:`wm_planner.costs.total`."""
        ...

    def narrow(
        self,
        knots: np.ndarray,
        cost: np.ndarray,
        elites: int,
        around: Around,
        momentum: float,
        min_std: float,
    ) -> tuple[np.ndarray, Around]:
        """One update of iCEM, see :func:`wm_planner.icem.narrow`."""
        ...

    def average(
        self, knots: np.ndarray, cost: np.ndarray, elites: int, share: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """One update of MPPI, see :func:`wm_planner.mppi.average`."""
        ...
