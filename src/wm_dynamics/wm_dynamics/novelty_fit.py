"""Learns what usual driving looks like, for :mod:`wm_dynamics.novelty`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.novelty import WARM_STEPS, Novelty, Usual, combine, smooth

FALSE_ALARMS = 0.01  # share of usual steps above the threshold
LEAST_STEPS = 500  # in each half, or the distances' tails mean nothing
LEAST_SPREAD = 1e-3  # of a number, as a share of the largest of its group

Sequences = Mapping[str, np.ndarray]  # group -> (N, T, d) numbers with their running means


def fit_novelty(shapes: Sequences, levels: Sequences, dt: float, facts: dict) -> Novelty:
    """Fit Gaussians, and how far from them usual driving is.

    Args:
        shapes: driving that the Gaussians are fitted on.
        levels: other driving, for the spread of the distances and the threshold: distances of the
            data that a covariance came from are too small.
        dt: seconds per step.
        facts: JSON-able, to keep.

    Raises:
        UserError: too few steps.
    """
    for part in (shapes, levels):
        steps = [x[:, WARM_STEPS:].shape[0] * x[:, WARM_STEPS:].shape[1] for x in part.values()]
        if min(steps, default=0) < LEAST_STEPS:
            raise UserError(
                f"novelty needs {LEAST_STEPS} steps of usual driving in each half of the episodes, "
                f"there are {min(steps, default=0)}; give more or longer stores"
            )
    groups: dict[str, Usual] = {}
    standardised = []
    for name, numbers in shapes.items():
        rows = numbers[:, WARM_STEPS:].reshape(-1, numbers.shape[-1])
        shape = _shape(rows.astype(np.float64))
        distances = _smoothed(shape.log_distance(levels[name]), dt)[:, WARM_STEPS:]
        groups[name] = Usual(
            shape.centre, shape.whiten, float(distances.mean()), float(distances.std())
        )
        standardised.append((distances - groups[name].level) / groups[name].spread)
    scores = combine(np.stack(standardised))
    threshold = float(np.quantile(scores, 1.0 - FALSE_ALARMS))
    # The 95th and 99th percentile: where a planner's doubt ends and begins.
    quantiles = {"novelty": [float(np.quantile(scores, 0.95)), threshold]}
    quantiles |= facts.get("quantiles", {})
    kept = {"false_alarms": FALSE_ALARMS, "steps": int(scores.size), **facts}
    kept["quantiles"] = quantiles
    return Novelty(groups, threshold, dt, kept)


def _smoothed(distances: np.ndarray, dt: float) -> np.ndarray:
    """(N, T) log distances smoothed along T, as they are while driving."""
    kept: list[np.ndarray] = []
    for column in distances.T:
        kept.append(smooth(column, kept[-1] if kept else None, dt))
    return np.stack(kept, 1)


def _shape(rows: np.ndarray) -> Usual:
    """Gaussian of rows (M, d) with a shrunk covariance; its level is not known yet."""
    centre, scale = rows.mean(0), rows.std(0)
    scale = np.maximum(scale, LEAST_SPREAD * max(float(scale.max()), LEAST_SPREAD))
    covariance = ledoit_wolf((rows - centre) / scale)
    # The inverse of the lower factor whitens: covariance = factor @ factor.T.
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)) / scale
    return Usual(centre.astype(np.float32), whiten.astype(np.float32), 0.0, 1.0)


def ledoit_wolf(rows: np.ndarray) -> np.ndarray:
    """(d, d) covariance of centred rows (M, d), shrunk towards a multiple of the identity.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88 (2004), 365-411.
    """
    count, width = rows.shape
    sample = rows.T @ rows / count
    mean = np.trace(sample) / width
    target = mean * np.eye(width)
    away = np.square(sample - target).sum()
    squares = np.square(rows)
    noise = (squares.T @ squares / count - np.square(sample)).sum() / count
    share = min(noise, away) / away if away > 0.0 else 1.0
    return (1.0 - share) * sample + share * target
