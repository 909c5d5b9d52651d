"""The path just ahead, and where everybody is with respect to it.

Bodies are placed on the route by nearest points, as stations (arc length) and sideways distances.
The intended path is the route plus the sideways offset that the driver means to keep.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from wm_perception.frame import Objects
from wm_perception.route import Route

BEHIND_M = 30
HALF_WIDTH_M = 0.925  # of the ego
# Half the ego and a margin, as in the labels: what is nearer to the path is in the way.
CORRIDOR_HALF_M = 1.35
BESIDE_M = 5.0  # parts of a body farther from the route than this do not matter if others are near
# Corners, centre and side midpoints of a body, as fractions of length and width.
_BODY = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [0, 1], [0, -1], [0, 0]]) / 2.0


@dataclass(frozen=True)
class Path:
    """(n,) points of the route around the vehicle, 1 m apart.

    Attributes:
        s: (n,) stations, m.
        points: (n, 2) map frame, m.
        tangents: (n, 2) unit vectors of the route's direction.
        offset: (n,) intended sideways distance from the route, left positive, m.
    """

    s: np.ndarray
    points: np.ndarray
    tangents: np.ndarray
    offset: np.ndarray


def path_around(route: Route, s: float, offset: np.ndarray, ahead_m: int) -> Path:
    """The path from ``BEHIND_M`` behind station ``s`` to ``ahead_m`` ahead, within the route.

    Args:
        route: to follow.
        s: station of the vehicle, m.
        offset: (len(route),) m to the left of the route at each of its points.
        ahead_m: length of the path ahead, m.
    """
    last = len(route) - 1
    low = min(max(0, int(s) - BEHIND_M), last - 1)
    high = min(max(int(s) + ahead_m, low + 1), last) + 1
    heading = route.headings[low:high]
    tangents = np.stack([np.cos(heading), np.sin(heading)], 1)
    stations = np.arange(low, high, dtype=float)
    return Path(stations, route.points[low:high], tangents, offset[low:high])


def on_path(path: Path, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where points (..., 2) are: stations, distances to the left of the route, path rows."""
    flat = points.reshape(-1, 2)
    # |p - q|^2 without the term that does not matter for the nearest point.
    squared = (path.points**2).sum(1) - 2.0 * (flat @ path.points.T)
    row = squared.argmin(1)
    delta, tangent = flat - path.points[row], path.tangents[row]
    along = (delta * tangent).sum(1)
    across = tangent[:, 0] * delta[:, 1] - tangent[:, 1] * delta[:, 0]
    shape = points.shape[:-1]
    return (path.s[row] + along).reshape(shape), across.reshape(shape), row.reshape(shape)


@dataclass(frozen=True)
class Placed:
    """M objects on the path, one row each.

    Attributes:
        objects: the objects themselves.
        s, d: (M,) station and distance to the left of the route of the centre, m.
        rear, front: (M,) lowest and highest station of the body, m.
        right, left: (M,) lowest and highest distance of the body to the left of the route, m.
        right_gap, left_gap: (M,) the same from the intended path, m.
        along, across: (M,) velocity along the route and to its left, m/s.
        on: (M,) whether the body lies beside the path, not before its start or past its end.
        speed: (M,) m/s.
    """

    objects: Objects
    s: np.ndarray
    d: np.ndarray
    rear: np.ndarray
    front: np.ndarray
    right: np.ndarray
    left: np.ndarray
    right_gap: np.ndarray
    left_gap: np.ndarray
    along: np.ndarray
    across: np.ndarray
    on: np.ndarray
    speed: np.ndarray

    def __len__(self) -> int:
        return len(self.s)

    def __getitem__(self, rows) -> Placed:
        """The objects of a mask or list of rows."""
        return Placed(*(getattr(self, field.name)[rows] for field in fields(self)))

    def in_corridor(self, half_m: float = CORRIDOR_HALF_M) -> np.ndarray:
        """(M,) bool: part of the body is nearer to the intended path than ``half_m``."""
        return self.on & (self.right_gap < half_m) & (self.left_gap > -half_m)


def body_points(objects: Objects) -> np.ndarray:
    """(M, 7, 2) corners, side midpoints and centres of bodies, map frame."""
    local = _BODY * objects.sizes[:, None, :]
    cos, sin = np.cos(objects.poses[:, 2])[:, None], np.sin(objects.poses[:, 2])[:, None]
    x = cos * local[..., 0] - sin * local[..., 1]
    y = sin * local[..., 0] + cos * local[..., 1]
    return objects.poses[:, None, :2] + np.stack([x, y], -1)


def _range(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest valid value of each row."""
    return np.where(valid, values, np.inf).min(1), np.where(valid, values, -np.inf).max(1)


def _widened(
    values: np.ndarray, valid: np.ndarray, wider_m: float
) -> tuple[np.ndarray, np.ndarray]:
    low, high = _range(values, valid)
    return low - wider_m, high + wider_m


def place(path: Path, objects: Objects, wider_m: float = 0.0) -> Placed:
    """Objects on the path.

    Args:
        path: the path.
        objects: in the map frame.
        wider_m: added to both sides of every body, for an ego that is wider than usual.
    """
    s, d, row = on_path(path, body_points(objects))
    gap = d - path.offset[row]
    # Where the route bends back, the far end of a body may be nearer to another part of it.
    near = np.abs(d) < BESIDE_M
    near |= ~near.any(1, keepdims=True)
    tangent = path.tangents[row[:, -1]]
    velocity = objects.velocities
    along = (velocity * tangent).sum(1)
    across = tangent[:, 0] * velocity[:, 1] - tangent[:, 1] * velocity[:, 0]
    rear, front = _range(s, near)
    right, left = _widened(d, near, wider_m)
    right_gap, left_gap = _widened(gap, near, wider_m)
    # Past its ends a path goes on straight, and says little about what is beside it.
    on = (rear <= path.s[-1] + 2.0) & (front >= path.s[0])
    return Placed(
        objects, s[:, -1], d[:, -1], rear, front, right, left, right_gap, left_gap,
        along, across, on, np.hypot(velocity[:, 0], velocity[:, 1]),
    )  # fmt: skip
