"""What stands in the town and cannot be driven through: buildings, trunks, poles."""

from __future__ import annotations

import math

import numpy as np

from wm_perception.frame import EgoState, ObjectClass, Objects
from wm_sim.scenery import Scenery


class Obstacles:
    """The parts of the scenery that stand on the ground, quick to look up.

    Args:
        scenery: of the town.
    """

    def __init__(self, scenery: Scenery) -> None:
        boxes = scenery.boxes[scenery.standing]
        count = len(boxes)
        poses, half = boxes[:, [0, 1, 6]], boxes[:, 3:5] / 2
        cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
        # Each box's own axes and middle: (2 * count, 2) and (2 * count,); along and across.
        self._axes = np.concatenate([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)])
        self._middles = (self._axes * np.tile(poses[:, :2], (2, 1))).sum(1)
        self._halves = half.T.ravel()
        self._all = Objects(
            np.zeros(count, np.int64),
            poses,
            np.zeros((count, 2)),
            boxes[:, 3:5],
            np.full(count, ObjectClass.BARRIER, np.uint8),
            boxes[:, 5],
        )

    def near(self, ego: EgoState) -> Objects:
        """The obstacles that a body of this length and width may touch; their id is 0."""
        gaps = np.abs(self._axes @ (ego.x, ego.y) - self._middles) - self._halves
        beside = gaps < math.hypot(ego.length, ego.width) / 2
        count = len(self._all)
        rows = np.flatnonzero(beside[:count] & beside[count:])
        return self._all[rows] if len(rows) else _NONE


_NONE = Objects()
