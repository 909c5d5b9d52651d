"""Driving scores of CARLA's Leaderboard 2.0 and 2.1.

Source: leaderboard/utils/statistics_manager.py of github.com/carla-simulator/leaderboard, branches
leaderboard-2.0 and leaderboard-2.1; minimum speed: MinimumSpeedRouteTest of ScenarioRunner, branch
of the same name.

2.0 multiplies the completion by a factor per infraction. 2.1 divides it by 1 + a sum over
infractions, so that a second one costs less than the first. Both take away the share of the driven
way that lies outside the lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# 2.0: what an infraction leaves of the score. 2.1: what it adds to the divisor.
FACTOR_20 = {
    "collision_person": 0.50,
    "collision_vehicle": 0.60,
    "collision_static": 0.65,
    "red_light": 0.70,
}
PENALTY_21 = {
    "collision_person": 1.0,
    "collision_vehicle": 0.7,
    "collision_static": 0.6,
    "red_light": 0.4,
}
MIN_SPEED_FACTOR_20, MIN_SPEED_PENALTY_21 = 0.70, 0.4
MIN_SPEED_CHECKPOINTS = 4  # per route


def score_20(
    completion: float,
    off_share: float,
    counts: Mapping[str, int],
    speed_percent: Sequence[float] = (),
) -> float:
    """Leaderboard 2.0, percent.

    Args:
        completion: route completion, percent.
        off_share: share of the driven way outside the lanes, 0 to 1.
        counts: infractions by kind; kinds without a price are ignored.
        speed_percent: own speed as percent of the traffic's, per checkpoint; empty leaves the
            minimum speed out.
    """
    score = completion * (1.0 - off_share)
    for kind, factor in FACTOR_20.items():
        score *= factor ** counts.get(kind, 0)
    for percent in speed_percent:
        score *= 1.0 - (1.0 - MIN_SPEED_FACTOR_20) * _missing(percent)
    return score


def score_21(
    completion: float,
    off_share: float,
    counts: Mapping[str, int],
    speed_percent: Sequence[float] = (),
) -> float:
    """Leaderboard 2.1, percent; arguments as for :func:`score_20`."""
    penalty = sum(price * counts.get(kind, 0) for kind, price in PENALTY_21.items())
    penalty += MIN_SPEED_PENALTY_21 * sum(map(_missing, speed_percent))
    return completion * (1.0 - off_share) / (1.0 + penalty)


def _missing(percent: float) -> float:
    """How much of the traffic's speed was missing, 0 to 1; faster than the traffic is no merit."""
    return max(0.0, 1.0 - percent / 100.0)
