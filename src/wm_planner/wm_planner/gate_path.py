"""Where other road users are, seen along the ego's path: how far ahead, and how far aside.

RSS speaks of lanes. The gate has no map; it has the route, which is the source's own, and where
the ego is not on it, the arc that it is driving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import wrap_angle
from wm_perception.frame import Objects
from wm_perception.route import Route, RouteTracker

BEHIND_M, REACH_M = 10.0, 70.0
# Farther off the route, or turned farther away from it, the ego follows its own arc.
ON_ROUTE_M, ON_ROUTE_RAD = 2.5, 0.7


@dataclass(frozen=True)
class Neighbours:
    """M other road users against the ego's path, all (M,).

    Attributes:
        ahead_m: way along the path from the ego's centre to theirs, negative behind.
        gap_m: free way between the two bodies along the path, 0 side by side.
        side_m: free way between the two bodies across the path, 0 one behind the other.
        along_mps: speed along the path, negative against it.
        ego_towards_mps, towards_mps: speeds of the ego and of them across the path, each towards
            the other one.
    """

    ahead_m: np.ndarray
    gap_m: np.ndarray
    side_m: np.ndarray
    along_mps: np.ndarray
    ego_towards_mps: np.ndarray
    towards_mps: np.ndarray


def driven_arc(pose: np.ndarray, speed_mps: float, yaw_rate_radps: float) -> np.ndarray:
    """(n, 2) points, 1 m apart, of the arc being driven, from behind the ego to its reach.

    Straight while (almost) standing: the yaw rate says nothing then.
    """
    curvature = yaw_rate_radps / speed_mps if abs(speed_mps) > 1.0 else 0.0
    s = np.arange(-BEHIND_M, REACH_M)
    # The chord of an arc of length s has the direction of its middle.
    half = np.clip(0.5 * curvature * s, -0.5 * math.pi, 0.5 * math.pi)
    chord = s * np.sinc(half / math.pi)
    return pose[:2] + chord[:, None] * np.stack(
        [np.cos(pose[2] + half), np.sin(pose[2] + half)], -1
    )


class EgoPath:
    """The path that the ego is on: its route, or else the driven arc."""

    def __init__(self, route: Route | None = None):
        self._route = route
        self._tracker = RouteTracker(route) if route else None

    def points(self, pose: np.ndarray, speed_mps: float, yaw_rate_radps: float) -> np.ndarray:
        """(n, 2) points about 1 m apart, map frame, from behind the ego to its reach.

        Args:
            pose: (3,) x, y, yaw of the ego, map frame; finite.
            speed_mps, yaw_rate_radps: its motion.
        """
        if self._route is not None and self._tracker is not None:
            at = self._tracker.update(pose)
            if abs(at.lateral) < ON_ROUTE_M and abs(at.heading_error) < ON_ROUTE_RAD:
                return self._route.sample(at.s + np.arange(-BEHIND_M, REACH_M))
        return driven_arc(pose, speed_mps, yaw_rate_radps)


def neighbours(
    path: np.ndarray,
    pose: np.ndarray,
    speed_mps: float,
    size: tuple[float, float],
    objects: Objects,
) -> Neighbours:
    """All objects in coordinates of the path.

    Args:
        path: (n, 2) points, map frame.
        pose: (3,) x, y, yaw of the ego, map frame.
        speed_mps: of the ego, forward.
        size: full length and width of the ego, m.
        objects: M other road users, map frame.
    """
    poses = np.vstack([pose, objects.poses])
    sizes = np.vstack([size, objects.sizes])
    forward = speed_mps * np.array([math.cos(pose[2]), math.sin(pose[2])])
    velocities = np.vstack([forward, objects.velocities])
    s, aside, heading = _project(path, poses[:, :2])
    turned = wrap_angle(poses[:, 2] - heading)
    cos, sin = np.abs(np.cos(turned)), np.abs(np.sin(turned))
    half_along = 0.5 * (sizes[:, 0] * cos + sizes[:, 1] * sin)
    half_aside = 0.5 * (sizes[:, 0] * sin + sizes[:, 1] * cos)
    along = velocities[:, 0] * np.cos(heading) + velocities[:, 1] * np.sin(heading)
    left = velocities[:, 1] * np.cos(heading) - velocities[:, 0] * np.sin(heading)
    ahead, offset = s[1:] - s[0], aside[1:] - aside[0]
    to_left = np.where(offset >= 0.0, 1.0, -1.0)
    return Neighbours(
        ahead_m=ahead,
        gap_m=np.maximum(0.0, np.abs(ahead) - half_along[0] - half_along[1:]),
        side_m=np.maximum(0.0, np.abs(offset) - half_aside[0] - half_aside[1:]),
        along_mps=along[1:],
        ego_towards_mps=left[0] * to_left,
        towards_mps=-left[1:] * to_left,
    )


def in_the_bend(
    around: Neighbours, pose: np.ndarray, size: tuple[float, float], objects: Objects
) -> np.ndarray:
    """(M,) bool: who is beside the ego, and in its way, because the way turns towards them.

    A box whose middle is inside the ego's own is no such thing, but wrong.

    Args:
        around: the objects along the ego's path.
        pose, size, objects: see :func:`neighbours`.
    """
    away = objects.poses[:, :2] - pose[:2]
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    forward, left = away @ (cos, sin), away @ (-sin, cos)
    apart = (np.abs(forward) > 0.5 * size[0]) | (np.abs(left) > 0.5 * size[1])
    return (around.gap_m <= 0.0) & (around.side_m <= 0.0) & apart


def _project(path: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (M, 2) onto a path: arc length, offset to the left, heading of the path there."""
    steps = np.diff(path, axis=0)
    arc = np.r_[0.0, np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))]
    tangents = np.gradient(path, axis=0)
    headings = np.arctan2(tangents[:, 1], tangents[:, 0])
    away = points[:, None] - path
    nearest = (away**2).sum(-1).argmin(1)
    heading = headings[nearest]
    dx, dy = away[np.arange(len(points)), nearest].T
    cos, sin = np.cos(heading), np.sin(heading)
    return arc[nearest] + cos * dx + sin * dy, cos * dy - sin * dx, heading
