"""Whose fault a collision is: a short rule over the frames before it.

The ego is at fault when it was moving and either met the other with its front half, or had left its
own lane, or had run a red light just before. It is not at fault when it stands, or when it keeps to
its lane and is hit from behind. A simplification of what a court would look at; it does not ask who
had the right of way.
"""

from __future__ import annotations

import cv2
import numpy as np

from wm_perception.conventions import box_corners, to_ego
from wm_perception.frame import EgoState, SceneFrame

MOVING_MPS = 0.5
OWN_LANE_M = 0.9  # further from the route than this, the body is in another lane (3.5 m wide)
RED_LIGHT_S = 5.0  # a red light run this long before a collision counts as its cause
REACH_M = 0.6  # bodies that have just met may be this far apart again


class Blame:
    """Follows the frames of a route and judges the collision frame."""

    def __init__(self) -> None:
        self._speed_before = 0.0
        self._red_ns: int | None = None

    def update(self, frame: SceneFrame, lateral_m: float, ran_red: bool) -> bool:
        """Whether the collision of this frame is the ego's fault; False without a collision.

        Args:
            frame: the next frame.
            lateral_m: offset from the route.
            ran_red: the ego crossed a red stop line since the frame before.
        """
        speed, self._speed_before = self._speed_before, abs(frame.ego.speed_mps)
        if ran_red:
            self._red_ns = frame.stamp_ns
        if not frame.collided or speed < MOVING_MPS:
            return False
        after_red = self._red_ns is not None
        if after_red and (frame.stamp_ns - (self._red_ns or 0)) * 1e-9 <= RED_LIGHT_S:
            return True
        return abs(lateral_m) > OWN_LANE_M or hit_in_front(frame)


def hit_in_front(frame: SceneFrame) -> bool:
    """Whether the ego's front half met the other; True when the frame does not know the other."""
    contact = frame.contact
    if contact is None or contact.other_id == 0:
        return True
    others = frame.objects + frame.props
    rows = np.flatnonzero(others.ids == contact.other_id)
    if not len(rows):
        return True
    pose, size = others.poses[rows[0]], others.sizes[rows[0]]
    return _meeting_x(frame.ego, pose, size) > 0.0


def _meeting_x(ego: EgoState, pose: np.ndarray, size: np.ndarray) -> float:
    """How far ahead of the ego's centre two bodies meet, m (negative: behind it)."""
    mine = box_corners(ego.x, ego.y, ego.yaw, ego.length + REACH_M, ego.width + REACH_M)
    other = box_corners(*pose, *(size + REACH_M))
    area, shared = cv2.intersectConvexConvex(mine.astype(np.float32), other.astype(np.float32))
    middle = shared.reshape(-1, 2).mean(0) if area > 0.0 else pose[:2]
    return float(to_ego(middle, ego.pose)[0])
