"""Moving things in the camera's picture, each built from boxes: cars and traffic lights.

An instance is a row of 15 float32: pose (x, y, z, yaw), offset (3) and size (3) in the object's
frame, colour (3), material kind (1), taper (1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.frame import LightBox, LightState, Objects
from wm_sim.camera_shaders import LAMP, PLAIN

INSTANCE_FLOATS = 15

CAR_RGB = (
    (0.75, 0.10, 0.10),
    (0.10, 0.20, 0.55),
    (0.85, 0.85, 0.85),
    (0.25, 0.25, 0.28),
    (0.80, 0.65, 0.10),
    (0.10, 0.40, 0.25),
)
_GLASS, _TYRE, _METAL = (0.13, 0.15, 0.19), (0.05, 0.05, 0.05), (0.30, 0.31, 0.33)
_BLACK, _LINE, _SHADOW = (0.04, 0.04, 0.04), (0.95, 0.95, 0.92), (0.20, 0.20, 0.21)
_LAMP_RGB = {
    LightState.RED: (1.0, 0.10, 0.05),
    LightState.YELLOW: (1.0, 0.80, 0.10),
    LightState.GREEN: (0.10, 1.0, 0.30),
}

# Where a signal stands, seen from the middle of its stop line: the head hangs over the lane on the
# far side, where the first car in the queue still sees it.
POLE_AHEAD_M, POLE_ASIDE_M = 1.0, 3.2
HEAD_AHEAD_M, HEAD_Z_M = 9.0, 5.2
_LAMP_STEP_M = 0.42
_STOP_LINE_M = 0.4


@dataclass(frozen=True)
class Box:
    """One box of a template; ``rgb`` None takes the object's own colour."""

    offset: tuple[float, float, float]
    size: tuple[float, float, float]
    rgb: tuple[float, float, float] | None
    kind: int = PLAIN
    taper: float = 0.0

    def row(self, pose: tuple[float, float, float, float], rgb: tuple) -> tuple:
        """The instance of this box in an object at ``pose``."""
        return (*pose, *self.offset, *self.size, *(self.rgb or rgb), self.kind, self.taper)


# For a car 4.5 m by 1.85 m; other sizes scale it.
_CAR_LENGTH_M, _CAR_WIDTH_M = 4.5, 1.85
_CAR = (
    Box((0, 0, 0.03), (4.7, 2.0, 0.02), _SHADOW),
    Box((0, 0, 0.62), (4.5, 1.85, 0.62), None),
    Box((-0.25, 0, 1.18), (2.7, 1.7, 0.56), _GLASS, taper=0.3),
    Box((-0.25, 0, 1.48), (1.8, 1.42, 0.06), None),
    Box((1.4, 0, 0.32), (0.66, 1.9, 0.62), _TYRE),
    Box((-1.4, 0, 0.32), (0.66, 1.9, 0.62), _TYRE),
    Box((-2.26, 0.68, 0.72), (0.06, 0.35, 0.16), (0.75, 0.08, 0.06)),
    Box((-2.26, -0.68, 0.72), (0.06, 0.35, 0.16), (0.75, 0.08, 0.06)),
    Box((2.26, 0.65, 0.68), (0.06, 0.35, 0.16), (0.95, 0.95, 0.85)),
    Box((2.26, -0.65, 0.68), (0.06, 0.35, 0.16), (0.95, 0.95, 0.85)),
)


def car_rows(objects: Objects) -> list[tuple]:
    """Instances of cars; a car's colour follows from its id."""
    rows = []
    for number, (x, y, yaw), (length, width) in zip(
        objects.ids, objects.poses, objects.sizes, strict=True
    ):
        rgb = CAR_RGB[int(number) * 7919 % len(CAR_RGB)]
        along, across = length / _CAR_LENGTH_M, width / _CAR_WIDTH_M
        for box in _CAR:
            offset = (box.offset[0] * along, box.offset[1] * across, box.offset[2])
            size = (box.size[0] * along, box.size[1] * across, box.size[2])
            scaled = Box(offset, size, box.rgb, box.kind, box.taper)
            rows.append(scaled.row((x, y, 0.0, yaw), rgb))
    return rows


def _local(x: float, y: float, yaw: float, ahead: float, left: float) -> tuple[float, float]:
    cos, sin = math.cos(yaw), math.sin(yaw)
    return x + cos * ahead - sin * left, y + sin * ahead + cos * left


def light_rows(box: LightBox, state: LightState) -> list[tuple]:
    """Instances of a signal and its stop line."""
    yaw = box.yaw
    line = _local(*box.center, yaw, box.length / 2, 0.0)
    pole = _local(*line, yaw, POLE_AHEAD_M, -POLE_ASIDE_M)
    head = _local(*line, yaw, HEAD_AHEAD_M, 0.0)
    reach = math.dist(pole, head)
    arm_yaw = math.atan2(head[1] - pole[1], head[0] - pole[0])
    top = HEAD_Z_M + 0.8
    at_line, at_pole, at_head = (*line, 0.0, yaw), (*pole, 0.0, yaw), (*head, 0.0, yaw)
    stripe = Box((-_STOP_LINE_M / 2, 0, 0.03), (_STOP_LINE_M, box.width - 0.3, 0.02), _LINE)
    arm = Box((reach / 2, 0, top), (reach, 0.12, 0.12), _METAL)
    rows = [
        stripe.row(at_line, _LINE),
        Box((0, 0, top / 2), (0.18, 0.18, top), _METAL).row(at_pole, _METAL),
        arm.row((*pole, 0.0, arm_yaw), _METAL),
        Box((0, 0, HEAD_Z_M), (0.3, 0.6, 1.5), _BLACK).row(at_head, _BLACK),
    ]
    if state in _LAMP_RGB:
        z = HEAD_Z_M + _LAMP_STEP_M * (1 - int(state))
        lamp = Box((-0.17, 0, z), (0.06, 0.44, 0.38), _LAMP_RGB[state], LAMP)
        rows.append(lamp.row(at_head, _BLACK))
    return rows


def instances(
    x: float,
    y: float,
    objects: Objects,
    boxes: tuple[LightBox, ...],
    states: dict[int, LightState],
    reach_m: float,
) -> np.ndarray:
    """(R, 15) float32 instances of everything within ``reach_m`` of (x, y)."""
    rows = car_rows(objects.within(x, y, reach_m))
    for box in boxes:
        if math.hypot(box.center[0] - x, box.center[1] - y) < reach_m:
            rows += light_rows(box, states.get(box.id, LightState.UNKNOWN))
    return np.array(rows, np.float32).reshape(-1, INSTANCE_FLOATS)
