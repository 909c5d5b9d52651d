"""Responsibility-sensitive safety, same direction: how much gap a follower must keep.

Source: Shalev-Shwartz, Shammah, Shashua, "On a Formal Model of Safe and Scalable Self-driving
Cars", 2017, definition 1; parameters as in ad-rss-lib.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import to_ego
from wm_perception.frame import Objects
from wm_planner.gate_config import PLAUSIBLE_SPEED_MPS, RssConfig

CORRIDOR_HALF_M = 1.5  # an object whose centre is this close to the driven arc is in the way
REACH_M = 60.0


@dataclass(frozen=True)
class Gap:
    """The nearest object ahead: bumper-to-bumper distance (m) and its speed along ours (m/s)."""

    gap_m: float
    speed_mps: float


def safe_distance(rear_mps: float, front_mps: float, rss: RssConfig) -> float:
    """Smallest safe gap between two vehicles driving in the same direction, m.

    Args:
        rear_mps: speed of the follower, m/s.
        front_mps: speed of the leader, m/s.
        rss: response time and accelerations.

    Returns:
        The distance; infinite when a speed is not plausible, so that the rule fails closed.
    """
    if not all(abs(speed) <= PLAUSIBLE_SPEED_MPS for speed in (rear_mps, front_mps)):
        return math.inf
    rear, front = max(0.0, rear_mps), max(0.0, front_mps)
    after = rear + rss.response_s * rss.accel_mps2
    driven = rear * rss.response_s + 0.5 * rss.accel_mps2 * rss.response_s**2
    stopping = after**2 / (2.0 * rss.brake_min_mps2)
    return max(0.0, driven + stopping - front**2 / (2.0 * rss.brake_max_mps2))


def arc_curvature(speed_mps: float, yaw_rate_radps: float) -> float:
    """Curvature (1/m, left positive) of the arc being driven; 0 while (almost) standing."""
    return yaw_rate_radps / speed_mps if abs(speed_mps) > 1.0 else 0.0


def gap_ahead(
    pose: np.ndarray, curvature: float, objects: Objects, ego_length_m: float = 4.5
) -> Gap | None:
    """The nearest object on the arc the vehicle is driving.

    Args:
        pose: (3,) x, y, yaw of the ego, map frame.
        curvature: of the driven arc, 1/m, left positive.
        objects: other road users, map frame.
        ego_length_m: full length of the ego.

    Returns:
        The gap, or None when nothing is within reach.
    """
    if not len(objects):
        return None
    centres = to_ego(objects.poses[:, :2], pose)
    lateral = centres[:, 1] - 0.5 * curvature * centres[:, 0] ** 2
    ahead = (centres[:, 0] > 0.0) & (centres[:, 0] < REACH_M) & (np.abs(lateral) < CORRIDOR_HALF_M)
    if not ahead.any():
        return None
    nearest = int(np.where(ahead, centres[:, 0], np.inf).argmin())
    vx, vy = objects.velocities[nearest]
    along = vx * math.cos(pose[2]) + vy * math.sin(pose[2])
    gap = centres[nearest, 0] - 0.5 * (ego_length_m + objects.sizes[nearest, 0])
    return Gap(max(0.0, float(gap)), float(along))
