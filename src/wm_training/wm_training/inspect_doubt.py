"""What disagreement says about error: by head, and as a forecast of the error to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_dynamics.heads import HEADS
from wm_training.inspect_metrics import FEWEST, spearman
from wm_training.inspect_moments import Moments

TENTHS = 10
LEAST = 1e-6  # of what a logarithm is taken


@dataclass(frozen=True)
class Forecast:
    """Errors as disagreement foretells them, against those that came.

    Attributes:
        expected: (N,) from a power law of the disagreement that was fitted to other episodes.
        realised: (N,).
    """

    expected: np.ndarray
    realised: np.ndarray

    def tenths(self) -> np.ndarray:
        """(10, 4): mean expected and realised error, and the latter's 95 % interval, by tenths."""
        rows = []
        for part in np.array_split(np.argsort(self.expected, kind="stable"), TENTHS):
            came = self.realised[part]
            half = 1.96 * came.std() / np.sqrt(len(came))
            rows.append(
                (self.expected[part].mean(), came.mean(), came.mean() - half, came.mean() + half)
            )
        return np.array(rows)


def head_errors(moments: Moments) -> dict[str, np.ndarray]:
    """Head -> (N,) mean absolute error over the horizon, in its unit; NaN where it has no truth.

    Of probabilities, the distance to what happened.
    """
    errors = {}
    for head in HEADS:
        use = moments.ego.inside
        if head.presence is not None:
            use = use & (moments.labels[head.presence] > 0.5)
        error = np.abs(moments.heads[head.name] - moments.labels[head.label])
        count = use.sum(1)
        mean = (error * use).sum(1) / np.maximum(count, 1)
        errors[head.name] = np.where(count > 0, mean, np.nan)
    return errors


def spearman_by_head(moments: Moments) -> dict[str, float | None]:
    """Head -> rank correlation of the disagreement with its error; None where it says nothing."""
    found = {}
    for name, error in head_errors(moments).items():
        known = np.isfinite(error)
        found[name] = spearman(moments.disagreement[known], error[known])
    return found


def forecast_errors(moments: Moments, error: np.ndarray) -> Forecast | None:
    """Each half of the episodes foretold by the other; None with one episode or few moments.

    Args:
        moments: gives disagreement and episodes.
        error: (N,) realised.
    """
    half = np.unique(moments.episode, return_inverse=True)[1] % 2 == 0
    if min(half.sum(), (~half).sum()) < FEWEST:
        return None
    logs = np.log(np.maximum(moments.disagreement, LEAST))
    expected = np.zeros(len(error))
    for fit, use in ((half, ~half), (~half, half)):
        slope, _ = np.polyfit(logs[fit], np.log(np.maximum(error[fit], LEAST)), 1)
        # The logarithm's mean is not the mean's logarithm: the factor is taken from the errors.
        power = np.exp(slope * logs)
        expected[use] = power[use] * error[fit].mean() / power[fit].mean()
    return Forecast(expected, error)
