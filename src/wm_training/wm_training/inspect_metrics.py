"""Numbers of an inspection: errors with intervals, event prediction, calibration, doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_dynamics.heads import HEADS
from wm_training.inspect_bicycle import bicycle, constant_velocity, fit_bicycle
from wm_training.inspect_moments import IOU_SECONDS, LONGEST_S, Ego, Moments
from wm_training.intervals import TAIL
from wm_training.sampler import CLOSE_M
from wm_training.validation import auroc

EVENT_S = 2.0
EVENTS = ("collision", "off_road")
FEWEST = 10  # examples of each class, below which no area is given
FEWEST_EPISODES = 3  # below which no interval is given
BINS = 10
RESAMPLES = 500
PATHS = ("ego_error_m", "constant_velocity_error_m", "bicycle_error_m")


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval (percentile bootstrap over episodes) and sample size.

    Attributes:
        value: None where there is nothing to measure.
        low, high: None with fewer than ``FEWEST_EPISODES``, too.
        count: examples.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Event:
    """Will it happen within the next 2 s? For the moments at which it is not happening yet.

    Attributes:
        probability: (M,) imagined.
        happened: (M,) bool.
        area: AUROC; its value is None with fewer than ``FEWEST`` of either class.
        calibration_error: expected calibration error, None with fewer than ``FEWEST`` positives.
    """

    probability: np.ndarray
    happened: np.ndarray
    area: Estimate
    calibration_error: float | None


def ratio(top: np.ndarray, bottom: np.ndarray, episode: np.ndarray) -> Estimate:
    """Sum of ``top`` (N,) over sum of ``bottom`` (N,), episodes resampled."""
    count = int((bottom > 0).sum())
    if not count:
        return Estimate(None, None, None, 0)
    value = float(top.sum() / bottom.sum())
    _, row = np.unique(episode, return_inverse=True)
    if row.max() + 1 < FEWEST_EPISODES:
        return Estimate(value, None, None, count)
    sums = np.stack([np.bincount(row, top), np.bincount(row, bottom)], 1)  # (E, 2)
    rng = np.random.default_rng([0, len(sums)])
    drawn = sums[rng.integers(len(sums), size=(RESAMPLES, len(sums)))].sum(1)
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [TAIL, 1.0 - TAIL])
    return Estimate(value, float(low), float(high), count)


def mean(values: np.ndarray, use: np.ndarray, episode: np.ndarray) -> Estimate:
    """Mean of ``values`` (N,) where ``use`` (N,) is true."""
    return ratio(np.where(use, values, 0.0), use.astype(float), episode)


def path_errors(moments: Moments, train: Ego | None) -> dict[str, np.ndarray]:
    """(N, H) position errors (m) by name of ``PATHS``; NaN beyond the end of an episode.

    Args:
        moments: what was measured.
        train: driving to fit the bicycle on; without it, two halves of the episodes are each
            predicted by the bicycle fitted on the other (all NaN with a single episode).
    """
    ego = moments.ego
    paths = {PATHS[0]: moments.path, PATHS[1]: constant_velocity(ego)}
    if train is not None:
        paths[PATHS[2]] = bicycle(fit_bicycle(train), ego)
    else:
        paths[PATHS[2]] = np.full_like(moments.path, np.nan)
        _, number = np.unique(moments.episode, return_inverse=True)
        halves = [number % 2 == 0, number % 2 == 1]
        if all(half.any() for half in halves):
            for fitted, predicted in (halves, halves[::-1]):
                paths[PATHS[2]][predicted] = bicycle(fit_bicycle(ego[fitted]), ego[predicted])
    errors = {name: np.linalg.norm(p - ego.path[..., :2], axis=-1) for name, p in paths.items()}
    return {name: np.where(ego.inside, error, np.nan) for name, error in errors.items()}


def error_at(errors: np.ndarray, step: int, episode: np.ndarray) -> Estimate:
    """Mean of column ``step`` of errors (N, H), without its NaN."""
    return mean(errors[:, step], np.isfinite(errors[:, step]), episode)


def distance_errors(moments: Moments, head: str, presence: str) -> dict[str, Estimate]:
    """Mean absolute error of a distance within 25 m, "0s" as perceived and "3s" as imagined."""
    last = moments.step(LONGEST_S)
    times = {
        "0s": (moments.heads_now[head], moments.labels_now, np.ones(len(moments.start), bool)),
        "3s": (
            moments.heads[head][:, last],
            {name: value[:, last] for name, value in moments.labels.items()},
            moments.ego.inside[:, last],
        ),
    }
    return {
        when: mean(
            np.abs(value - labels[head]),
            inside & (labels[presence] > 0.5) & (labels[head] < CLOSE_M),
            moments.episode,
        )
        for when, (value, labels, inside) in times.items()
    }


def overlaps(moments: Moments, name: str) -> dict[str, Estimate]:
    """Intersection over union of all vehicle cells, by second."""
    result = {}
    for second in IOU_SECONDS:
        if (name, second) in moments.overlap:
            inside = moments.ego.inside[:, moments.step(second)]
            both, either = moments.overlap[name, second].T * inside
            result[f"{second}s"] = ratio(both, either.astype(float), moments.episode)
        else:
            result[f"{second}s"] = Estimate(None, None, None, 0)
    return result


def event(moments: Moments, name: str, seconds: float = EVENT_S) -> Event:
    """How well an event of the next 2 s, or so many, is foreseen.

    The probability is that of the union of independent steps. Moments at which it is already
    happening, and those whose episode ends sooner without it, are left out.
    """
    happened, use = outcome(moments, name, seconds)
    steps = moments.step(seconds) + 1
    chance = 1.0 - np.prod(1.0 - moments.heads[name][:, :steps].astype(float), axis=1)
    chance, happened = chance[use], happened[use]
    positives = int(happened.sum())
    calibrated = calibration_error(chance, happened) if positives >= FEWEST else None
    return Event(chance, happened, area(chance, happened, moments.episode[use]), calibrated)


def outcome(moments: Moments, name: str, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """(N,) bool each: the event happened within so many seconds; the moment counts, as above."""
    steps = moments.step(seconds) + 1
    inside = moments.ego.inside[:, :steps]
    happened = ((moments.labels[name][:, :steps] > 0.5) & inside).any(1)
    return happened, (moments.labels_now[name] < 0.5) & (happened | inside.all(1))


def area(score: np.ndarray, positive: np.ndarray, episode: np.ndarray) -> Estimate:
    """AUROC; its count is that of the positives."""
    count = int(positive.sum())
    if min(count, len(positive) - count) < FEWEST:
        return Estimate(None, None, None, count)
    value = auroc(score, positive)
    rows = [np.flatnonzero(episode == e) for e in np.unique(episode)]
    if len(rows) < FEWEST_EPISODES:
        return Estimate(value, None, None, count)
    rng = np.random.default_rng([1, len(rows)])
    drawn = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        again = auroc(score[chosen], positive[chosen])
        if again is not None:
            drawn.append(again)
    low, high = np.quantile(drawn, [TAIL, 1.0 - TAIL])
    return Estimate(value, float(low), float(high), count)


def reliability(chance: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """(B, 3) of the occupied ones of ten equal bins: mean forecast, observed share, count."""
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, values, BINS) for values in (chance, happened.astype(float))]
    used = count > 0
    return np.stack([sums[0][used] / count[used], sums[1][used] / count[used], count[used]], 1)


def calibration_error(chance: np.ndarray, happened: np.ndarray) -> float:
    """Expected calibration error over ten equal bins (Guo et al. 2017)."""
    forecast, observed, count = reliability(chance, happened).T
    return float((np.abs(forecast - observed) * count).sum() / count.sum())


def head_error(moments: Moments) -> np.ndarray:
    """(N,) how wrong the imagined heads were: mean over heads and steps, in network units.

    Absolute errors over each head's scale, where its quantity exists; of probabilities, the
    distance to what happened.
    """
    inside = moments.ego.inside
    total, count = np.zeros(len(inside)), np.zeros(len(inside))
    for head in HEADS:
        use = inside if head.presence is None else inside & (moments.labels[head.presence] > 0.5)
        error = np.abs(moments.heads[head.name] - moments.labels[head.label]) / head.scale
        total += (error * use).sum(1)
        count += use.sum(1)
    return total / count


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) ranks, ties their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    return (below + 0.5 * (counts - 1))[inverse]


def spearman(one: np.ndarray, other: np.ndarray) -> float | None:
    """Rank correlation; None where one of them is constant or there are fewer than ``FEWEST``."""
    a, b = ranks(one), ranks(other)
    if len(a) < FEWEST or not a.std() or not b.std():
        return None
    return float(np.corrcoef(a, b)[0, 1])


def correlation(one: np.ndarray, other: np.ndarray, episode: np.ndarray) -> Estimate:
    """Rank correlation of (N,) and (N,), episodes resampled."""
    value = spearman(one, other)
    _, row = np.unique(episode, return_inverse=True)
    episodes = row.max() + 1
    if value is None or episodes < FEWEST_EPISODES:
        return Estimate(value, None, None, len(one))
    members = np.split(np.argsort(row, kind="stable"), np.cumsum(np.bincount(row))[:-1])
    rng = np.random.default_rng([1, episodes])
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[i] for i in rng.integers(episodes, size=episodes)])
        drawn.append(spearman(one[rows], other[rows]) or 0.0)
    low, high = np.quantile(drawn, [TAIL, 1.0 - TAIL])
    return Estimate(value, float(low), float(high), len(one))
