"""Rays against boxes and the ground, for lidar and radar: the slab method in numpy.

Rays come as a grid of A columns by C channels. Which columns can meet a box at all is known from
the box's corners, so only those pairs of column and box are tested (Kay and Kajiya, "Ray tracing
complex scenes", 1986, for the slabs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GROUND, NOTHING = -1, -2  # in place of a box's row
_UNIT_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
_PARALLEL = np.float32(1e-9)  # a direction is never exactly parallel to a face


@dataclass(frozen=True)
class Hits:
    """What rays meet first; arrays of shape (A, C).

    Attributes:
        distance: float32, m; inf where nothing is hit.
        box: row of the box, ``GROUND`` or ``NOTHING``.
        cos_incidence: float32 cosine of the angle between the ray and the surface's normal.
    """

    distance: np.ndarray
    box: np.ndarray
    cos_incidence: np.ndarray


def corners(boxes: np.ndarray) -> np.ndarray:
    """(B, 8, 3) corners of (B, 7) boxes: centre, full size, yaw."""
    local = _UNIT_CORNERS * boxes[:, None, 3:6]
    cos, sin = np.cos(boxes[:, None, 6]), np.sin(boxes[:, None, 6])
    x, y = local[..., 0], local[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y, local[..., 2]], -1) + boxes[:, None, :3]


def sectors(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The azimuths under which convex bodies are seen.

    Args:
        points: (B, K, 3) corners of the bodies in the sensor's axes.

    Returns:
        (B,) first azimuth and (B,) width of the sector, rad, counter-clockwise. A body that the
        sensor's axis pierces has a width of a full turn.
    """
    azimuth = np.sort(np.arctan2(points[..., 1], points[..., 0]), axis=1)
    gaps = np.diff(azimuth, axis=1, append=azimuth[:, :1] + 2 * np.pi)
    widest = gaps.argmax(1)
    rows = np.arange(len(azimuth))
    first = azimuth[rows, (widest + 1) % azimuth.shape[1]]
    width = 2 * np.pi - gaps[rows, widest]
    return first, np.where(width >= np.pi, 2 * np.pi, width)


def pairs_in_sectors(
    azimuths: np.ndarray, first: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Columns and the bodies in whose sector they are, sorted by column.

    Args:
        azimuths: (A,) of the columns, rad.
        first, width: (B,) sectors, see :func:`sectors`.

    Returns:
        (P,) column and (P,) body of each pair.
    """
    turn = 2 * np.pi
    order = np.argsort(azimuths % turn, kind="stable")
    ordered = (azimuths % turn)[order]
    start = np.searchsorted(ordered, first % turn)
    end = np.searchsorted(ordered, first % turn + width, "right")
    wrapped = np.searchsorted(ordered, first % turn + width - turn, "right")
    count = np.minimum(end - start + wrapped, len(azimuths))
    body = np.repeat(np.arange(len(first)), count)
    offset = np.arange(len(body)) - np.repeat(np.cumsum(count) - count, count)
    column = order[(start[body] + offset) % max(1, len(azimuths))]
    by_column = np.argsort(column, kind="stable")
    return column[by_column], body[by_column]


def cast(
    origin: np.ndarray,
    directions: np.ndarray,
    boxes: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    range_m: float,
) -> Hits:
    """Follow rays to the first surface.

    Args:
        origin: (3,) where all rays start, map frame, m.
        directions: (A, C, 3) unit vectors, map axes.
        boxes: (B, 7) centre, full size and yaw of upright boxes, map frame. A ray that starts
            inside a box does not see it.
        pairs: columns and boxes to test, sorted by column.
        range_m: farther surfaces are not seen.
    """
    directions = directions.astype(np.float32)
    down = np.minimum(directions[..., 2], -_PARALLEL)
    distance = np.where(directions[..., 2] < 0, np.float32(-origin[2]) / down, np.float32(np.inf))
    distance = np.where(origin[2] > 0, distance, np.float32(np.inf))
    box = np.full(distance.shape, GROUND)
    cosine = -directions[..., 2]
    column, body = pairs
    if len(column):
        near, axis = _entries(origin, directions[column], boxes[body])
        starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
        nearest = np.full_like(distance, np.inf)
        nearest[column[starts]] = np.minimum.reduceat(near, starts, axis=0)
        pair, channel = np.nonzero((near <= nearest[column]) & (near < distance[column]))
        place = column[pair], channel
        distance[place] = near[pair, channel]
        box[place] = body[pair]
        cosine[place] = _cosines(directions[place], boxes[body[pair], 6], axis[pair, channel])
    seen = distance <= range_m
    return Hits(
        np.where(seen, distance, np.float32(np.inf)),
        np.where(seen, box, NOTHING),
        np.where(seen, cosine, np.float32(0.0)),
    )


def _entries(
    origin: np.ndarray, directions: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where (P, C, 3) rays enter (P, 7) boxes: (P, C) distance and the axis of the face."""
    cos, sin = (f(boxes[:, 6]).astype(np.float32)[:, None] for f in (np.cos, np.sin))
    offset = boxes[:, :3] - origin
    centre = np.stack(
        [
            cos[:, 0] * offset[:, 0] + sin[:, 0] * offset[:, 1],
            -sin[:, 0] * offset[:, 0] + cos[:, 0] * offset[:, 1],
            offset[:, 2],
        ]
    ).astype(np.float32)
    half = (boxes[:, 3:6].T / 2).astype(np.float32)
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    enter = np.full(x.shape, -np.inf, np.float32)
    leave = np.full(x.shape, np.inf, np.float32)
    axis = np.zeros(x.shape, np.int8)
    for number, along in enumerate((cos * x + sin * y, cos * y - sin * x, z)):
        inverse = 1.0 / np.where(np.abs(along) < _PARALLEL, _PARALLEL, along)
        middle = centre[number][:, None] * inverse
        reach = half[number][:, None] * np.abs(inverse)
        axis[middle - reach > enter] = number
        np.maximum(enter, middle - reach, out=enter)
        np.minimum(leave, middle + reach, out=leave)
    return np.where((enter <= leave) & (enter > 0.0), enter, np.float32(np.inf)), axis


def _cosines(directions: np.ndarray, yaw: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """|cos| between (N, 3) rays and the faces of that axis of boxes turned by ``yaw``."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y, z = directions.T
    along = np.where(axis == 0, cos * x + sin * y, np.where(axis == 1, cos * y - sin * x, z))
    return np.abs(along).astype(np.float32)
