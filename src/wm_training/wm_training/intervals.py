"""95 % intervals of what an evaluation measures."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

Z95 = 1.96
TAIL = 0.025
RESAMPLES = 2000


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Interval of a share, 0 to 1 (Wilson 1927); the whole range when nothing was counted."""
    if count == 0:
        return 0.0, 1.0
    share = hits / count
    centre = (share + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
    half /= 1 + Z95**2 / count
    # Rounding must not keep the interval from its end.
    return (centre - half if hits else 0.0), (centre + half if hits < count else 1.0)


def _poisson_cdf(events: int, mean: float) -> float:
    """P(X <= events) of a Poisson variable."""
    term = total = math.exp(-mean)
    for k in range(1, events + 1):
        term *= mean / k
        total += term
    return total


def poisson_rate(events: int, exposure: float) -> tuple[float, float]:
    """Exact interval of a rate: events per unit of exposure (Garwood 1936), by bisection."""

    def solve(count: int, probability: float) -> float:
        low, high = 0.0, count + 10.0 + 6.0 * math.sqrt(count + 1.0)
        for _ in range(80):
            middle = (low + high) / 2
            if _poisson_cdf(count, middle) > probability:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    lower = solve(events - 1, 1.0 - TAIL) if events else 0.0
    return lower / exposure, solve(events, TAIL) / exposure


def bootstrap_mean(
    values: Sequence[float], groups: Sequence[Hashable] | None = None, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean; (0, 0) of nothing.

    Args:
        values: what is averaged.
        groups: values of one group depend on each other and are drawn together, unless there is
            but one group; None: none do.
        seed: of the draws.
    """
    if not len(values):
        return 0.0, 0.0
    low, high = np.quantile(bootstrap_means(values, groups, seed), [TAIL, 1.0 - TAIL])
    return float(low), float(high)


def bootstrap_means(
    values: Sequence[float], groups: Sequence[Hashable] | None = None, seed: int = 0
) -> np.ndarray:
    """(2000,) means of resampled values; arguments as for :func:`bootstrap_mean`."""
    if groups is None or len(set(groups)) == 1:
        groups = range(len(values))
    names = list(dict.fromkeys(groups))
    row = {name: index for index, name in enumerate(names)}
    member = np.array([row[name] for name in groups])
    sums = np.bincount(member, np.asarray(values, float), len(names))
    counts = np.bincount(member, minlength=len(names))
    rng = np.random.default_rng([seed, len(names)])
    draws = rng.integers(len(names), size=(RESAMPLES, len(names)))
    return sums[draws].sum(1) / counts[draws].sum(1)
