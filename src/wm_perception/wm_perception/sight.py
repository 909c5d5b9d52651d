"""Line of sight: which objects a vehicle could see at all, were its own sensors its only source.

A 2-D test on the ground, as CarDreamer's field of view (Gao et al. 2024, arXiv 2405.09111): an
object is seen when a straight line from the ego's centre to one of its corners or to the middle of
one of its sides meets no other vehicle and no building. Sight goes all around, and heights do not
count: nobody looks over a car.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from wm_perception.conventions import body_outline
from wm_perception.frame import ObjectClass, Objects, SceneFrame

View = Literal["full", "line_of_sight"]
VIEWS: tuple[View, ...] = ("full", "line_of_sight")
# What is too slim or too low to hide anybody.
SEEN_PAST = (
    ObjectClass.PEDESTRIAN,
    ObjectClass.BIKE,
    ObjectClass.MOTORCYCLE,
    ObjectClass.BARRIER,
    ObjectClass.SIGN,
)
RANGE_M = 80.0  # beyond it nothing is drawn anyway
NO_WALLS = np.zeros((0, 5))


def seen_frame(frame: SceneFrame, walls: np.ndarray = NO_WALLS) -> SceneFrame:
    """The frame without the objects that the ego cannot see.

    Args:
        frame: one frame.
        walls: (N, 5) footprints of buildings: centre x, y, yaw, length, width; map frame, m, rad.
    """
    return replace(frame, objects=frame.objects[visible(frame, walls)])


def visible(frame: SceneFrame, walls: np.ndarray = NO_WALLS) -> np.ndarray:
    """(M,) bool: which of the frame's objects the ego can see; arguments as :func:`seen_frame`."""
    objects, ego = frame.objects, frame.ego
    found = np.zeros(len(objects), bool)
    eye = np.array([ego.x, ego.y])
    near = np.flatnonzero(np.hypot(*(objects.poses[:, :2] - eye).T) < RANGE_M)
    if not len(near):
        return found
    close = objects[near]
    bodies = np.flatnonzero(~np.isin(close.kinds, SEEN_PAST))
    boxes = np.concatenate([footprints(close[bodies]), near_walls(walls, eye)])
    targets = body_outline(close)  # (m, 8, 2)
    clear = np.ones(targets.shape[:2], bool)
    for number, box in enumerate(boxes):
        hidden = crosses(eye, targets, box)
        if number < len(bodies):
            hidden[bodies[number]] = False  # nothing hides itself
        clear &= ~hidden
    found[near] = clear.any(1)
    return found


def footprints(objects: Objects) -> np.ndarray:
    """(M, 5) centre x, y, yaw, length, width of the objects' bodies, map frame, m and rad."""
    return np.concatenate([objects.poses, objects.sizes], 1)


def near_walls(walls: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """The buildings that reach within sight of (2,) ``eye``."""
    away = np.hypot(*(walls[:, :2] - eye).T) - np.hypot(*walls[:, 3:].T) / 2
    return walls[away < RANGE_M]


def crosses(eye: np.ndarray, targets: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(...,) bool: whether the line from ``eye`` to each target enters a box before it gets there.

    The slab test of ray tracing (Kay, Kajiya 1986) in the box's own frame. A box around the eye
    hides nothing.

    Args:
        eye: (2,) map frame, m.
        targets: (..., 2) map frame, m.
        box: (5,) see :func:`footprints`.
    """
    cos, sin = np.cos(box[2]), np.sin(box[2])
    axes = np.array([[cos, -sin], [sin, cos]])  # columns: along the box, to its left
    start = (eye - box[:2]) @ axes
    way = (targets - eye) @ axes
    half = box[3:] / 2
    way = np.where(way == 0.0, 1e-12, way)  # parallel to a side
    first, second = (-half - start) / way, (half - start) / way
    enters = np.minimum(first, second).max(-1)
    leaves = np.maximum(first, second).min(-1)
    return (enters > 0.0) & (enters < np.minimum(leaves, 1.0 - 1e-9))
