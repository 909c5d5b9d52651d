"""Responsibility-sensitive safety (RSS): how much room two vehicles need.

Source: Shalev-Shwartz, Shammah, Shashua, "On a Formal Model of Safe and Scalable Self-driving
Cars", 2017, definitions 1, 2 and 6; parameters as in ad-rss-lib. Pure functions on numbers or
arrays that broadcast. A speed that is not plausible needs infinite room: the rules fail closed.

A situation is dangerous when the room is too small along the road **and** across it.
"""

from __future__ import annotations

import numpy as np

from wm_planner.gate_config import PLAUSIBLE_SPEED_MPS, RssConfig


def same_direction_distance(rear_mps, front_mps, response_s: float, rss: RssConfig):
    """Smallest safe gap between a follower and its leader, m.

    Args:
        rear_mps: speed of the follower, m/s; backwards counts as standing.
        front_mps: speed of the leader, m/s; backwards counts as standing.
        response_s: of the follower.
        rss: accelerations.
    """
    rear, front = np.maximum(0.0, rear_mps), np.maximum(0.0, front_mps)
    distance = _stopping(rear, response_s, rss.accel_mps2, rss.brake_min_mps2)
    distance = distance - front**2 / (2.0 * rss.brake_max_mps2)
    return _closed(np.maximum(0.0, distance), rear_mps, front_mps)


def opposite_direction_distance(correct_mps, wrong_mps, rss: RssConfig):
    """Smallest safe gap between two vehicles that drive towards each other, m.

    Args:
        correct_mps: speed of the ego, in its own lane: it brakes gently.
        wrong_mps: speed of the other one against it, either sign.
        rss: response times and accelerations.
    """
    correct, wrong = np.maximum(0.0, correct_mps), np.abs(wrong_mps)
    distance = _stopping(correct, rss.response_s, rss.accel_mps2, rss.brake_correct_mps2)
    distance = distance + _stopping(wrong, rss.other_response_s, rss.accel_mps2, rss.brake_min_mps2)
    return _closed(distance, correct_mps, wrong_mps)


def lateral_distance(ego_towards_mps, other_towards_mps, rss: RssConfig):
    """Smallest safe gap between two vehicles side by side, m.

    Args:
        ego_towards_mps: sideways speed of the ego towards the other one; negative: away from it.
        other_towards_mps: sideways speed of the other one towards the ego; negative: away.
        rss: response times and lateral accelerations.
    """
    approach = _drift(ego_towards_mps, rss.response_s, rss)
    approach = approach + _drift(other_towards_mps, rss.other_response_s, rss)
    distance = rss.lateral_margin_m + np.maximum(0.0, approach)
    return _closed(distance, ego_towards_mps, other_towards_mps)


def needed_braking(ego_mps, other_mps, gap_m, rss: RssConfig):
    """The ego's braking that makes a gap to someone ahead just safe, m/s^2.

    Definitions 1 and 2, solved for it: a gap is below the safe one exactly when this is more than
    the braking that the safe one is made of.

    Args:
        ego_mps: speed of the ego, m/s; backwards counts as standing.
        other_mps: speed of the other one along the ego's path, m/s; negative: it comes against it.
        gap_m: from bumper to bumper.
        rss: response times and accelerations.

    Returns:
        The braking; infinite when none is enough, or when a speed is not plausible.
    """
    ego = np.maximum(0.0, ego_mps)
    after = ego + rss.response_s * rss.accel_mps2
    way = np.square(np.maximum(0.0, other_mps)) / (2.0 * rss.brake_max_mps2)
    against = np.maximum(0.0, np.negative(other_mps))
    comes = _stopping(against, rss.other_response_s, rss.accel_mps2, rss.brake_min_mps2)
    way = way - np.where(against > 0.0, comes, 0.0)
    room = gap_m + way - 0.5 * (ego + after) * rss.response_s
    braking = np.where(room > 0.0, after**2 / (2.0 * np.where(room > 0.0, room, 1.0)), np.inf)
    return _closed(braking, ego_mps, other_mps)


def _stopping(speed, response_s: float, accel: float, brake: float):
    """Way of a vehicle that accelerates during its response time and brakes afterwards, m."""
    after = speed + response_s * accel
    return 0.5 * (speed + after) * response_s + after**2 / (2.0 * brake)


def _drift(towards, response_s: float, rss: RssConfig):
    """Way sideways of a vehicle that does the same, towards the other one, m."""
    after = towards + response_s * rss.lateral_accel_mps2
    braking = np.maximum(0.0, after) ** 2 / (2.0 * rss.lateral_brake_mps2)
    return 0.5 * (towards + after) * response_s + braking


def _closed(distance, *speeds):
    """The distance, infinite where a speed is not plausible (or is not a number)."""
    for speed in speeds:
        distance = np.where(np.abs(speed) <= PLAUSIBLE_SPEED_MPS, distance, np.inf)
    return distance[()]
