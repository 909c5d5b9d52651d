"""Routes: polylines to follow, projection onto them, and what lies ahead of the vehicle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import to_ego, wrap_angle

SPACING_M = 1.0
# The reference handed to the planner: from 5 m behind the vehicle to 45 m ahead of it.
REFERENCE_BEHIND_M, REFERENCE_AHEAD_M = 5, 45


@dataclass(frozen=True)
class RoutePose:
    """A pose seen from a route.

    Attributes:
        s: arc length of the nearest point, m.
        lateral: signed offset from the route, left positive, m.
        heading_error: heading minus the route's heading, rad.
    """

    s: float
    lateral: float
    heading_error: float


class Route:
    """A polyline in the map frame, resampled to 1 m (within half a metre over its length).

    Attributes:
        points: (n, 2) m.
        headings: (n,) direction of travel, rad, unwrapped.
    """

    def __init__(self, points: np.ndarray):
        """Resample ``points`` (m, 2), m >= 2, to 1 m spacing.

        Raises:
            ValueError: fewer than two distinct points, or points that are not finite.
        """
        points = np.asarray(points, float).reshape(-1, 2)
        if not np.isfinite(points).all():
            raise ValueError("route has points that are not finite")
        steps = np.hypot(*np.diff(points, axis=0).T) if len(points) > 1 else np.zeros(0)
        points = points[np.r_[True, steps > 1e-3]] if len(points) else points
        if len(points) < 2:
            raise ValueError("a route needs at least two distinct points")
        arc = np.r_[0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
        # Whole steps of nearly 1 m: resampling a resampled route changes nothing.
        s = np.linspace(0.0, arc[-1], max(2, round(arc[-1] / SPACING_M) + 1))
        self.points = np.stack(
            [np.interp(s, arc, points[:, 0]), np.interp(s, arc, points[:, 1])], 1
        )
        tangents = np.gradient(self.points, axis=0)
        self.headings = np.unwrap(np.arctan2(tangents[:, 1], tangents[:, 0]))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def length_m(self) -> float:
        """Arc length, m."""
        return (len(self.points) - 1) * SPACING_M

    def nearest_index(self, x: float, y: float, lo: int = 0, hi: int | None = None) -> int:
        """Index of the point nearest to (x, y) among ``[lo, hi)``."""
        lo = max(0, min(lo, len(self.points) - 1))
        window = self.points[lo:hi]
        return lo + int(np.argmin((window[:, 0] - x) ** 2 + (window[:, 1] - y) ** 2))

    def project(self, pose: np.ndarray, index: int) -> RoutePose:
        """``pose`` (3,) against the segment around point ``index``."""
        heading = self.headings[index]
        dx, dy = pose[0] - self.points[index, 0], pose[1] - self.points[index, 1]
        cos, sin = math.cos(heading), math.sin(heading)
        return RoutePose(
            s=float(index * SPACING_M + cos * dx + sin * dy),
            lateral=float(-sin * dx + cos * dy),
            heading_error=float(wrap_angle(pose[2] - heading)),
        )

    def sample(self, s: np.ndarray) -> np.ndarray:
        """(..., 2) points at arc lengths ``s`` (m), extrapolated straight past both ends."""
        s = np.asarray(s, float)
        inside = np.clip(s / SPACING_M, 0, len(self.points) - 1)
        low = np.minimum(inside.astype(int), len(self.points) - 2)
        frac = (inside - low)[..., None]
        points = self.points[low] * (1 - frac) + self.points[low + 1] * frac
        over = np.where(s < 0, s, np.maximum(s - self.length_m, 0.0))[..., None]
        heading = np.where(s < 0, self.headings[0], self.headings[-1])
        return points + over * np.stack([np.cos(heading), np.sin(heading)], -1)

    def reference(
        self,
        pose: np.ndarray,
        s: float,
        behind: int = REFERENCE_BEHIND_M,
        ahead: int = REFERENCE_AHEAD_M,
    ) -> np.ndarray:
        """(behind + ahead + 1, 2) route points around ``s``, 1 m apart, seen from ``pose``."""
        return to_ego(self.sample(s + np.arange(-behind, ahead + 1) * SPACING_M), pose)


class RouteTracker:
    """Follows a vehicle along a route without jumping where the route crosses itself."""

    def __init__(self, route: Route, back_m: int = 5, ahead_m: int = 30):
        self.route = route
        self._back, self._ahead = back_m, ahead_m
        self._index: int | None = None

    def update(self, pose: np.ndarray) -> RoutePose:
        """Advance to ``pose`` (3,). The first call searches the whole route."""
        x, y = float(pose[0]), float(pose[1])
        if self._index is None:
            self._index = self.route.nearest_index(x, y)
        else:
            self._index = self.route.nearest_index(
                x, y, self._index - self._back, self._index + self._ahead
            )
        return self.route.project(pose, self._index)
