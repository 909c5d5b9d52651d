"""What stands in the town and cannot be driven through: buildings, trunks, poles."""

from __future__ import annotations

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
        self._poses = boxes[:, [0, 1, 6]]
        self._half = boxes[:, 3:5] / 2
        self._cos, self._sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
        self._all = Objects(
            np.zeros(count, np.int64),
            self._poses,
            np.zeros((count, 2)),
            boxes[:, 3:5],
            np.full(count, ObjectClass.BARRIER, np.uint8),
            boxes[:, 5],
        )

    def near(self, ego: EgoState) -> Objects:
        """The obstacles that a body of this length and width may touch; their id is 0."""
        dx, dy = self._poses[:, 0] - ego.x, self._poses[:, 1] - ego.y
        along = np.abs(self._cos * dx + self._sin * dy) - self._half[:, 0]
        aside = np.abs(self._cos * dy - self._sin * dx) - self._half[:, 1]
        reach = float(np.hypot(ego.length, ego.width)) / 2
        rows = np.flatnonzero((along < reach) & (aside < reach))
        return self._all[rows] if len(rows) else _NONE


_NONE = Objects()
