"""Moving things in the cameras' pictures: road users, obstacles and traffic lights.

An instance is a row of 18 float32: pose (x, y, z, yaw), offset (3) and size (3) in the object's
frame, colour and material code (4), form (4: taper along x and y, tilt, roll).
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import lru_cache

import numpy as np

from wm_perception.frame import EgoState, LightBox, LightState, ObjectClass, Objects
from wm_perception.semantics import SemanticTag
from wm_perception.town_map import TownMap
from wm_sim import camera_shapes as shapes
from wm_sim.camera_obstacles import obstacle_shape
from wm_sim.camera_scene import GROUND_Z, PAVEMENT_Z
from wm_sim.camera_shaders import LAMP, LINE, PLAIN, code
from wm_sim.camera_shapes import Part, Shape
from wm_sim.scenery import HEAD_SIZE_M, HEAD_Z_M, POLE_TOP_M, LightPost, Scenery
from wm_sim.view import WorldView

INSTANCE_FLOATS = 18
REACH_M = 150.0
VAN_LENGTH_M = 7.0  # a longer truck is a lorry
STRIDE_M, SWING_RAD = 1.5, 0.55
BLINK_NS = 250_000_000
TALL_M = 2.0
_EGO_RGB = (0.85, 0.85, 0.85)
_SIREN_RGB, _STRIPE_RGB = (0.93, 0.93, 0.92), (0.75, 0.10, 0.08)
_LINE_RGB = (0.95, 0.95, 0.92)
_BLUE = ((0.25, 0.50, 1.0), (0.04, 0.07, 0.25))  # on, off
_LAMP_RGB = {
    LightState.RED: (1.0, 0.10, 0.05),
    LightState.YELLOW: (1.0, 0.80, 0.10),
    LightState.GREEN: (0.10, 1.0, 0.30),
}
_LAMP_STEP_M = 0.42
_STOP_LINE_M = 0.4

_SHAPES = {
    ObjectClass.PEDESTRIAN: shapes.PEDESTRIAN,
    ObjectClass.BIKE: shapes.CYCLIST,
    ObjectClass.MOTORCYCLE: shapes.MOTORCYCLE,
    ObjectClass.CAR: shapes.CAR,
    ObjectClass.OTHER_VEHICLE: shapes.CAR,
}


def shape_of(kind: int, length: float, width: float, height: float) -> Shape:
    """The shape to draw an object with."""
    if kind == ObjectClass.TRUCK:
        return shapes.VAN if length < VAN_LENGTH_M else shapes.LORRY
    return _SHAPES.get(ObjectClass(kind)) or obstacle_shape(length, width, height)


def shape_rows(shape: Shape, poses: np.ndarray, scales: np.ndarray, colours: np.ndarray, gait):
    """(M, K, 18) instances of M objects of one shape of K parts.

    Args:
        shape: the template.
        poses: (M, 4) x, y, z, yaw.
        scales: (M, 3) of length, width and height.
        colours: (M, 3) own RGB.
        gait: (M,) how far the legs swing forward now, rad.
    """
    many, parts = len(poses), len(shape.parts)
    rows = np.empty((many, parts, INSTANCE_FLOATS), np.float32)
    rows[..., :4] = poses[:, None]
    rows[..., 4:7] = shape.offset * scales[:, None]
    rows[..., 7:10] = shape.extent * scales[:, None]
    rows[..., 10:14] = shape.paint
    rows[:, shape.own, 10:13] = colours[:, None]
    rows[..., 14:18] = shape.form
    swinging = shape.swing != 0.0
    if swinging.any():
        turn = -gait[:, None] * shape.swing[swinging]
        half = rows[:, swinging, 9] / 2
        rows[:, swinging, 4] -= np.sin(turn) * half
        rows[:, swinging, 6] -= np.cos(turn) * half
        rows[:, swinging, 16] = turn
    return rows


def _gait(objects: Objects) -> np.ndarray:
    """(M,) swing of the legs, rad, from how far an object has come along its heading."""
    yaw = objects.poses[:, 2]
    along = objects.poses[:, 0] * np.cos(yaw) + objects.poses[:, 1] * np.sin(yaw)
    pace = np.clip(np.hypot(*objects.velocities.T), 0.0, 1.0)
    return SWING_RAD * pace * np.sin(2 * math.pi * along / STRIDE_M)


@lru_cache(maxsize=16)
def _beacon(shape: Shape, phase: int) -> Shape:
    """Blue lights and a red stripe for a vehicle of a shape, in one of two phases of blinking."""
    length, width, height = shape.size
    x, z = shape.beacon
    parts = [
        Part((0, 0, 0.41 * height), (0.97 * length, 1.012 * width, 0.07 * height), _STRIPE_RGB)
    ]
    for side, on in ((0.3, phase), (-0.3, 1 - phase)):
        parts.append(Part((x, side * width, z), (0.35, 0.3 * width, 0.16), _BLUE[on], LAMP))
        if height > TALL_M:  # from behind, the roof hides the lights in front
            rear = (-0.5 * length, side * width, 0.93 * height)
            parts.append(Part(rear, (0.08, 0.2 * width, 0.14), _BLUE[on], LAMP))
    return Shape(shape.size, shape.tag, tuple(parts))


def object_rows(
    objects: Objects, town: TownMap, sirens: frozenset[int], phase: int
) -> list[tuple[Shape, np.ndarray]]:
    """(shape, (M, K, 18) instances) of road users and obstacles, by shape."""
    groups: dict[Shape, list[int]] = defaultdict(list)
    for row, (kind, (length, width), height) in enumerate(
        zip(objects.kinds.tolist(), objects.sizes.tolist(), objects.heights.tolist(), strict=True)
    ):
        groups[shape_of(kind, length, width, height)].append(row)
    on_road = town.drivable(objects.poses[:, :2])
    poses = np.insert(objects.poses, 2, np.where(on_road, 0.0, PAVEMENT_Z), axis=1)
    sizes = np.column_stack([objects.sizes, objects.heights])
    gait = _gait(objects)
    result = []
    for shape, rows in groups.items():
        ids = objects.ids[rows].tolist()
        colours = np.array([shape.palette[i * 7919 % len(shape.palette)] for i in ids])
        blinking = np.array([i in sirens for i in ids])
        colours[blinking] = _SIREN_RGB
        scales = sizes[rows] / shape.size
        result.append((shape, shape_rows(shape, poses[rows], scales, colours, gait[rows])))
        if blinking.any():
            beacon = _beacon(shape, phase)
            chosen = np.array(rows)[blinking]
            parts = poses[chosen], scales[blinking], colours[blinking], gait[chosen]
            result.append((beacon, shape_rows(beacon, *parts)))
    return result


def no_instances() -> tuple[np.ndarray, np.ndarray]:
    """No boxes and no cylinders."""
    return np.zeros((0, INSTANCE_FLOATS), np.float32), np.zeros((0, INSTANCE_FLOATS), np.float32)


def _sorted_out(groups: list[tuple[Shape, np.ndarray]]) -> tuple[list, list]:
    """(R, 18) boxes and (S, 18) cylinders of some shapes."""
    boxes = [rows[:, ~shape.round].reshape(-1, INSTANCE_FLOATS) for shape, rows in groups]
    cylinders = [rows[:, shape.round].reshape(-1, INSTANCE_FLOATS) for shape, rows in groups]
    return boxes, cylinders


def ego_rows(ego: EgoState) -> tuple[np.ndarray, np.ndarray]:
    """(R, 18) boxes and (S, 18) cylinders of the ego's own body."""
    pose = np.array([[ego.x, ego.y, 0.0, ego.yaw]])
    scale = np.array([[ego.length, ego.width, shapes.CAR.size[2]]]) / shapes.CAR.size
    rows = shape_rows(shapes.CAR, pose, scale, np.array([_EGO_RGB]), np.zeros(1))
    boxes, cylinders = _sorted_out([(shapes.CAR, rows)])
    return boxes[0], cylinders[0]


@lru_cache(maxsize=4096)
def light_rows(box: LightBox, post: LightPost, state: LightState) -> np.ndarray:
    """(K, 18) instances of a signal and its stop line."""
    head = (0.0, 0.0, HEAD_Z_M)
    pole_m = POLE_TOP_M - GROUND_Z
    middle = (0.0, 0.0, POLE_TOP_M - pole_m / 2)
    across = box.width - 0.3
    pole, signal = SemanticTag.POLE, SemanticTag.TRAFFIC_LIGHT
    metal, black = (*shapes.METAL, code(PLAIN, pole)), (*shapes.BLACK, code(PLAIN, signal))
    paint = (*_LINE_RGB, code(LINE, SemanticTag.ROAD_LINE))
    stripe = ((-_STOP_LINE_M / 2, 0, 0.03), (_STOP_LINE_M, across, 0.02))
    arm = ((post.reach_m / 2, 0, POLE_TOP_M), (post.reach_m, 0.12, 0.12))
    solids = [
        (post.line, box.yaw, *stripe, paint),
        (post.pole, box.yaw, middle, (0.18, 0.18, pole_m), metal),
        (post.pole, post.arm_yaw, *arm, metal),
        (post.head, box.yaw, head, HEAD_SIZE_M, black),
    ]
    if state in _LAMP_RGB:
        z = HEAD_Z_M + _LAMP_STEP_M * (1 - int(state))
        lamp = ((-0.17, 0, z), (0.06, 0.44, 0.38))
        solids.append((post.head, box.yaw, *lamp, (*_LAMP_RGB[state], code(LAMP, signal))))
    return np.array(
        [(*at, 0.0, yaw, *rest[0], *rest[1], *rest[2], 0, 0, 0, 0) for at, yaw, *rest in solids],
        np.float32,
    )


def instances(view: WorldView, town: TownMap, scenery: Scenery) -> tuple[np.ndarray, np.ndarray]:
    """(R, 18) boxes and (S, 18) cylinders of everything near the ego, without the ego."""
    x, y = view.ego.x, view.ego.y
    near = view.objects.within(x, y, REACH_M)
    if len(view.props):
        near = near + view.props.within(x, y, REACH_M)
    phase = view.stamp_ns // BLINK_NS % 2
    boxes, cylinders = _sorted_out(object_rows(near, town, view.sirens, phase))
    for box in view.light_boxes:
        if math.hypot(box.center[0] - x, box.center[1] - y) < REACH_M:
            state = view.light_states.get(box.id, LightState.UNKNOWN)
            boxes.append(light_rows(box, scenery.posts[box.id], state))
    none = no_instances()
    return np.concatenate([none[0], *boxes]), np.concatenate([none[1], *cylinders])
