"""Action sequences as splines: a few knots are searched, all steps of the horizon are driven.

Fewer numbers to search, and smooth sequences by construction. Catmull-Rom: the curve runs through
its knots, and a knot moves only the steps around it. Symbols: M knots, H steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_planner.ordered import product


def catmull_rom(knots: int, places: np.ndarray) -> np.ndarray:
    """(len(places), M) weights of the knots 0 ... M - 1 at ``places``; held beyond both ends."""
    places = np.clip(places, 0.0, knots - 1)
    low = np.minimum(places.astype(int), max(0, knots - 2))
    u = (places - low)[:, None]
    cubic = 0.5 * np.concatenate(
        [-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2], 1
    )
    weights = np.zeros((len(places), knots))
    rows = np.arange(len(places))
    for i, offset in enumerate((-1, 0, 1, 2)):
        np.add.at(weights, (rows, np.clip(low + offset, 0, knots - 1)), cubic[:, i])
    return weights


@dataclass(frozen=True)
class Spline:
    """Between knots (..., M, 2), evenly spaced over the horizon, and steps (..., H, 2).

    Attributes:
        steps_of: (H, M); steps = steps_of @ knots.
        knots_of: (M, H); the least-squares inverse.
        later: (M, M); knots moved on by one frame.
    """

    steps_of: np.ndarray
    knots_of: np.ndarray
    later: np.ndarray

    @staticmethod
    def make(horizon: int, knots: int, frame_steps: float) -> Spline:
        """Knots 0 and M - 1 lie on the first and the last step.

        Args:
            horizon: H.
            knots: M, from 2 to H; H makes every step a knot.
            frame_steps: model steps per frame, by which a plan moves on from frame to frame.
        """
        spacing = (horizon - 1) / (knots - 1)  # steps between two knots
        steps_of = catmull_rom(knots, np.arange(horizon) / spacing)
        later = catmull_rom(knots, np.arange(knots) + frame_steps / spacing)
        return Spline(steps_of, np.linalg.pinv(steps_of), later)

    @property
    def knots(self) -> int:
        """M."""
        return self.steps_of.shape[1]

    def steps(self, knots: np.ndarray) -> np.ndarray:
        """Knots (..., M, 2) -> actions (..., H, 2) within [-1, 1]; sums in order, as in C++."""
        if self.knots == len(self.steps_of):  # every step is a knot
            return np.clip(knots, -1.0, 1.0)
        summed = product(np.swapaxes(knots, -1, -2), self.steps_of.T)
        return np.clip(np.swapaxes(summed, -1, -2), -1.0, 1.0)

    def fit(self, steps: np.ndarray) -> np.ndarray:
        """Actions (..., H, 2) -> the knots (..., M, 2) that come nearest to them."""
        return self.knots_of @ steps

    def shifted(self, knots: np.ndarray) -> np.ndarray:
        """Knots (..., M, 2) of the same plan one frame later; its last value is held."""
        return self.later @ knots
