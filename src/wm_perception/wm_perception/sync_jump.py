"""Tells a pose that jumped for a moment from a vehicle that was placed anew."""

from __future__ import annotations

import math
from enum import Enum

from wm_perception.frame import SceneFrame
from wm_perception.observation import is_jump

SETTLED_FRAMES = 5  # that follow each other after a jump
SAME_PLACE_M = 5.0  # moved less while the clock was set back: the same drive goes on


class Course(Enum):
    """How a frame follows those before it."""

    STEADY = "steady"
    JUMPED = "jumped"  # where the vehicle cannot have driven
    RETURNED = "returned"  # where it can have driven from the place before the jump, or the reset
    SETTLED = "settled"  # the place after the jump has lasted


class Continuity:
    """Follows the pose from frame to frame."""

    def __init__(self) -> None:
        self._last: SceneFrame | None = None
        self._before: SceneFrame | None = None  # the last frame before a jump
        self._steady = 0
        self._before_reset: SceneFrame | None = None

    def restart(self) -> None:
        """The clock was set back: the next frame follows none."""
        self._before_reset = self._last or self._before_reset
        self._last = self._before = None

    def take(self, frame: SceneFrame) -> Course:
        """Judge the next frame; its stamp is above the last one's."""
        last, self._last = self._last, frame
        if last is None:
            known, self._before_reset = self._before_reset, None
            same = known is not None and _apart_m(known, frame) < SAME_PLACE_M
            return Course.RETURNED if same else Course.STEADY
        if is_jump(last, frame, math.inf):
            self._steady = 0
            if self._before is not None and not is_jump(self._before, frame, math.inf):
                self._before = None
                return Course.RETURNED
            self._before = self._before or last
            return Course.JUMPED
        if self._before is None:
            return Course.STEADY
        self._steady += 1
        if self._steady < SETTLED_FRAMES:
            return Course.STEADY
        self._before = None
        return Course.SETTLED


def _apart_m(one: SceneFrame, other: SceneFrame) -> float:
    return math.hypot(one.ego.x - other.ego.x, one.ego.y - other.ego.y)
