"""Does the model know what it sees? One out-of-distribution score per observed step.

The :mod:`signs <wm_dynamics.novelty_signs>` of a step and their running means over two spans are
compared, group by group, with what driving in the training towns looks like: the logarithm of the
Mahalanobis distance under a Gaussian with a shrunk covariance (Ledoit and Wolf 2004; in embeddings
as in Lee et al. 2018), in units of its spread there. The score is the soft maximum of the groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wm_dynamics.config import ModelConfig
from wm_dynamics.novelty_signs import Expectation, Glimpse, signs

# Means over these times stand beside a group's numbers: what is slightly odd but stays odd, and
# what is odd now and then, is seen by them. The embedding is long, and odd at once.
SPANS_S = (0.8, 4.0)
WITHOUT_SPANS = ("scene",)
SMOOTHING_S = 0.4  # of the distances
SHARPNESS = 2.0  # of the soft maximum
WARM_STEPS = 5  # nothing is said before so many steps


@dataclass(frozen=True)
class Usual:
    """How the numbers of one group are spread in usual driving.

    Attributes:
        centre: (d,).
        whiten: (d, d); the squared distance of x is |whiten @ (x - centre)|^2.
        level, spread: mean and standard deviation of the smoothed log distance.
    """

    centre: np.ndarray
    whiten: np.ndarray
    level: float
    spread: float

    def log_distance(self, numbers: np.ndarray) -> np.ndarray:
        """(..., d) -> (...) logarithm of the squared distance."""
        return np.log(np.square((numbers - self.centre) @ self.whiten.T).sum(-1) + 1e-12)


@dataclass(frozen=True)
class Novelty:
    """What usual driving looks like to one model.

    Attributes:
        groups: by name.
        threshold: scores above it are unusual.
        dt: seconds per step.
        facts: JSON-able: false-alarm rate of the threshold, data hash, weights it belongs to.
    """

    groups: Mapping[str, Usual]
    threshold: float
    dt: float
    facts: dict = field(default_factory=dict)

    def unusual(self, score: float) -> bool:
        """Whether a score is above the threshold, or is no number."""
        return not score <= self.threshold


@dataclass(frozen=True)
class Trace:
    """What the next score depends on besides the next step.

    Attributes:
        before: the last step.
        means: group -> (B, d) numbers with their running means.
        distances: group -> (B,) smoothed log distances.
        steps: how many there have been.
    """

    before: Glimpse
    means: dict[str, np.ndarray]
    distances: dict[str, np.ndarray]
    steps: int


def gain(span_s: float, dt: float) -> float:
    """Weight of a new value in a running mean over ``span_s``."""
    return min(1.0, dt / span_s)


def extend(name: str, numbers: np.ndarray, before: np.ndarray | None, dt: float) -> np.ndarray:
    """Numbers (B, d) of a group, its running means behind them; ``before``: the last result."""
    spans = () if name in WITHOUT_SPANS else SPANS_S
    if before is None:
        return np.concatenate([numbers] * (1 + len(spans)), -1)
    means = np.split(before, 1 + len(spans), -1)[1:]
    moved = [m + gain(s, dt) * (numbers - m) for m, s in zip(means, spans, strict=True)]
    return np.concatenate([numbers, *moved], -1)


def smooth(distance: np.ndarray, before: np.ndarray | None, dt: float) -> np.ndarray:
    """Log distances (B,) as they count."""
    return distance if before is None else before + gain(SMOOTHING_S, dt) * (distance - before)


def combine(levels: np.ndarray) -> np.ndarray:
    """Standardised distances of the groups (G, ...) -> score (...): their soft maximum."""
    with np.errstate(invalid="ignore"):  # what is not a number stays none
        total = np.logaddexp.reduce(SHARPNESS * levels)
    return (total - np.log(len(levels))) / SHARPNESS


def follow(
    novelty: Novelty, trace: Trace | None, now: Glimpse, ego: Expectation, config: ModelConfig
) -> tuple[Trace, np.ndarray]:
    """Score one step of B sequences.

    Args:
        novelty: what is usual.
        trace: of the step before; None on the first.
        now: the step.
        ego, config: of the model, see :func:`wm_dynamics.novelty_signs.signs`.

    Returns:
        The trace now, and the scores (B,): around 0 in usual driving; 0 before ``WARM_STEPS``, and
        not a number where something observed is none.
    """
    if trace is None:
        return Trace(now, {}, {}, 1), np.zeros(len(now.action))
    means, distances, levels = {}, {}, []
    for name, numbers in signs(now, trace.before, ego, config).items():
        if name not in novelty.groups:
            continue
        usual = novelty.groups[name]
        means[name] = extend(name, numbers, trace.means.get(name), novelty.dt)
        distances[name] = smooth(
            usual.log_distance(means[name]), trace.distances.get(name), novelty.dt
        )
        levels.append((distances[name] - usual.level) / usual.spread)
    after = Trace(now, means, distances, trace.steps + 1)
    score = combine(np.stack(levels))
    if after.steps <= WARM_STEPS:
        score = np.where(np.isnan(score), score, 0.0)
    return after, score
