"""ROS messages to the stack's arrays, and images back.

Pure functions. They read attributes only, so they take rclpy messages and the objects that
``rosbags`` deserialises alike. Whatever is malformed or not finite raises :class:`MessageError`
with a text that says what was wrong; nothing is clamped or replaced.
"""

from __future__ import annotations

import math
from array import array

import cv2
import numpy as np

from wm_perception.conventions import from_vehicle_control, yaw_from_quaternion
from wm_perception.frame import (
    OBJECT_HEIGHT_M,
    EgoState,
    LightBox,
    LightState,
    ObjectClass,
    Objects,
)

BOX_SHAPE = 1  # shape_msgs/SolidPrimitive.BOX
# An object this close to the ego's own origin can only be the ego itself.
SELF_RADIUS_M = 0.3
CHANNELS = {"bgra8": 4, "rgba8": 4, "rgb8": 3, "bgr8": 3}
_TO_RGB = {
    "bgra8": cv2.COLOR_BGRA2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgr8": cv2.COLOR_BGR2RGB,
}
DEFAULT_EGO_SIZE_M = (4.5, 1.85)
# carla-ros-bridge 0.9.13 calls every vehicle a car; these are told apart by their size.
BIKE_WIDTH_M, TRUCK_LENGTH_M = 1.1, 5.8
_CLASSES = {int(kind): kind for kind in ObjectClass}
_STATES = {int(state): state for state in LightState}


class MessageError(ValueError):
    """A message that cannot be used; the text says why."""


def stamp_ns(stamp) -> int:
    """builtin_interfaces/Time -> ns."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _finite(what: str, *values: float) -> None:
    for value in values:
        if not math.isfinite(value):
            raise MessageError(f"{what} is not finite ({value})")


def _yaw(what: str, q) -> float:
    norm = q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w
    if not 0.9 < norm < 1.1:
        raise MessageError(f"{what} is not a unit quaternion (squared norm {norm:.3g})")
    return yaw_from_quaternion(q.x, q.y, q.z, q.w)


def ego_state(
    odometry, speedometer, vehicle_status, size_m: tuple[float, float] = DEFAULT_EGO_SIZE_M
) -> EgoState:
    """nav_msgs/Odometry + std_msgs/Float32 + CarlaEgoVehicleStatus -> :class:`EgoState`.

    Speed is the speedometer's: odometry's forward component is wrong on slopes. The yaw rate is
    odometry's z, the acceleration vehicle_status' map axes projected on the heading, the command
    vehicle_status' echo.

    Args:
        size_m: length and width of the body, which no topic of the ego itself carries.

    Raises:
        MessageError: a value is not finite, or the orientation is not a rotation.
    """
    position = odometry.pose.pose.position
    speed = float(speedometer.data)
    yaw_rate = float(odometry.twist.twist.angular.z)
    accel = vehicle_status.acceleration.linear
    control = vehicle_status.control
    _finite("odometry position", position.x, position.y)
    _finite("odometry yaw rate", yaw_rate)
    _finite("speedometer", speed)
    _finite("vehicle_status acceleration", accel.x, accel.y)
    _finite("vehicle_status control", control.throttle, control.steer, control.brake)
    yaw = _yaw("odometry orientation", odometry.pose.pose.orientation)
    return EgoState(
        x=float(position.x),
        y=float(position.y),
        yaw=yaw,
        speed_mps=speed,
        yaw_rate_radps=yaw_rate,
        accel_mps2=float(accel.x * math.cos(yaw) + accel.y * math.sin(yaw)),
        command=from_vehicle_control(
            float(control.throttle), float(control.steer), float(control.brake), control.reverse
        ),
        length=size_m[0],
        width=size_m[1],
    )


def find_self(message, ego_id: int | None, x: float, y: float) -> int | None:
    """Index of the ego in an ObjectArray: by id when known, else by overlap with (x, y) (m)."""
    for index, item in enumerate(message.objects):
        if ego_id is not None:
            if item.id == ego_id:
                return index
        elif math.hypot(item.pose.position.x - x, item.pose.position.y - y) < SELF_RADIUS_M:
            return index
    return None


def box_size(item) -> tuple[float, float]:
    """Length and width (m) of a derived_object_msgs/Object.

    Raises:
        MessageError: the shape is not a box with two positive, finite edges.
    """
    dimensions = item.shape.dimensions
    if item.shape.type != BOX_SHAPE or len(dimensions) < 2:
        raise MessageError(f"object {item.id} has no box shape (type {item.shape.type})")
    length, width = float(dimensions[0]), float(dimensions[1])
    if not (0.0 < length < math.inf and 0.0 < width < math.inf):
        raise MessageError(f"object {item.id} has an impossible size ({length} x {width} m)")
    return length, width


def object_class(classification: int, size: tuple[float, float]) -> ObjectClass:
    """The class of an object, from what it is called and from its length and width (m)."""
    kind = _CLASSES.get(classification, ObjectClass.UNKNOWN)
    if kind in (ObjectClass.CAR, ObjectClass.UNKNOWN):
        if size[1] < BIKE_WIDTH_M:
            return ObjectClass.BIKE if size[0] > 1.2 else ObjectClass.PEDESTRIAN
        return ObjectClass.TRUCK if size[0] > TRUCK_LENGTH_M else ObjectClass.CAR
    return kind


def objects(message, exclude: int | None = None) -> Objects:
    """derived_object_msgs/ObjectArray -> :class:`Objects`.

    Args:
        exclude: index to leave out (the ego, from :func:`find_self`).

    Raises:
        MessageError: an object has a value that is not finite, or no box.
    """
    ids, kinds, rows = [], [], []
    for index, item in enumerate(message.objects):
        if index == exclude:
            continue
        position, velocity = item.pose.position, item.twist.linear
        yaw = _yaw(f"orientation of object {item.id}", item.pose.orientation)
        size, edges = box_size(item), item.shape.dimensions
        ids.append(item.id)
        kinds.append(object_class(item.classification, size))
        height = float(edges[2]) if len(edges) > 2 and edges[2] > 0.0 else OBJECT_HEIGHT_M
        rows.append((position.x, position.y, yaw, velocity.x, velocity.y, *size, height))
    if not rows:
        return Objects()
    table = np.array(rows, float)
    bad = ~np.isfinite(table).all(1)
    if bad.any():
        raise MessageError(f"object {ids[int(bad.argmax())]} has values that are not finite")
    return Objects(
        np.array(ids, np.int64),
        table[:, :3],
        table[:, 3:5],
        table[:, 5:7],
        np.array(kinds, np.uint8),
        table[:, 7],
    )


def light_states(message) -> dict[int, LightState]:
    """CarlaTrafficLightStatusList -> light id -> state; unknown numbers become UNKNOWN."""
    return {
        int(light.id): _STATES.get(light.state, LightState.UNKNOWN)
        for light in message.traffic_lights
    }


def light_boxes(message) -> tuple[LightBox, ...]:
    """CarlaTrafficLightInfoList -> the lights' trigger boxes on the ground.

    The box lies in the light's own frame and is aligned with its axes.

    Raises:
        MessageError: a pose or a size is not usable.
    """
    boxes = []
    for light in message.traffic_lights:
        pose, volume = light.transform, light.trigger_volume
        yaw = _yaw(f"orientation of traffic light {light.id}", pose.orientation)
        cos, sin = math.cos(yaw), math.sin(yaw)
        x = float(pose.position.x + cos * volume.center.x - sin * volume.center.y)
        y = float(pose.position.y + sin * volume.center.x + cos * volume.center.y)
        size = float(volume.size.x), float(volume.size.y)
        _finite(f"trigger volume of traffic light {light.id}", x, y, *size)
        boxes.append(LightBox(int(light.id), (x, y), yaw, *size))
    return tuple(boxes)


def route_points(message) -> np.ndarray:
    """nav_msgs/Path -> (n, 2) float, map frame, m.

    Raises:
        MessageError: fewer than two points, or points that are not finite.
    """
    points = np.array([(p.pose.position.x, p.pose.position.y) for p in message.poses], float)
    if len(points) < 2:
        raise MessageError(f"path has {len(points)} points, a route needs at least 2")
    if not np.isfinite(points).all():
        raise MessageError("path has points that are not finite")
    return points


def image_pixels(message) -> np.ndarray:
    """sensor_msgs/Image (bgra8, rgba8, bgr8, rgb8) -> (H, W, channels) uint8, as it was sent.

    A view of the message's own bytes: nothing is copied.

    Raises:
        MessageError: unknown encoding, empty image, or data that does not fit the size.
    """
    encoding, height, width, step = message.encoding, message.height, message.width, message.step
    if encoding not in CHANNELS:
        raise MessageError(
            f"image encoding {encoding!r} is not a colour image ({', '.join(CHANNELS)})"
        )
    if height == 0 or width == 0:
        raise MessageError(f"image is empty ({width} x {height})")
    channels = CHANNELS[encoding]
    if step < width * channels:
        raise MessageError(f"image step {step} is less than {width} pixels of {encoding}")
    if len(message.data) != step * height:
        raise MessageError(
            f"image has {len(message.data)} bytes, expected step * height = {step * height}"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)
    return rows[:, : width * channels].reshape(height, width, channels)


def to_rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """(H, W, channels) uint8 of an encoding -> (H, W, 3) uint8 RGB, a copy."""
    return cv2.cvtColor(pixels, _TO_RGB[encoding]) if encoding in _TO_RGB else pixels.copy()


def rgb_image(message) -> np.ndarray:
    """sensor_msgs/Image -> (H, W, 3) uint8 RGB, a copy; see :func:`image_pixels`."""
    return to_rgb(image_pixels(message), message.encoding)


def to_array(values: np.ndarray, typecode: str) -> array:
    """A numpy array as the ``array.array`` that rclpy sequence fields take without a copy loop.

    Args:
        values: any shape; its dtype must be what ``typecode`` means (``f`` float32, ``B`` uint8).
    """
    result = array(typecode)
    result.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return result
