"""Sensor data and topics as CARLA's native ROS 2 interface (0.9.15, 0.9.16) has them.

Pictures and clouds are sent as the sensor made them: depth in three bytes of a colour picture,
semantic tags in its red channel. The IMU keeps CARLA's left-handed axes, and its attitude is a
heading that is 45° off. Frames are called after the sensor alone, and cameras' frames are not
turned to optical axes. Every writer keeps one sample. ``docs/carla.md`` lists it all.
"""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Quaternion
from sensor_msgs.msg import Image, Imu, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from wm_perception.conventions import (
    compass_from_yaw,
    mirror_rates,
    mirror_vector,
    quaternion_from_yaw,
    yaw_from_quaternion,
)
from wm_perception.native import DEPTH_CODES, FAR_M, NATIVE_COMPASS_ORIGIN
from wm_perception.sensor_topics import SensorTopics, sensor_topics
from wm_perception.topics import Topic, topic
from wm_sim import bridge_sensor_messages as build
from wm_sim.imu import ImuReading
from wm_sim.lidar import SEMANTIC_POINT
from wm_sim.radar import RADAR_POINT

CLOUD_SUFFIX = "/point_cloud"
ACKERMANN = Topic(
    "ackermann_control_cmd",
    "/carla/{role}/ackermann_control_cmd",
    "ackermann_msgs/msg/AckermannDriveStamped",
    publisher="user",
)
# Layouts of points: name on the wire, name in the sensor's data.
_SEMANTIC_NAMES = dict(
    zip(
        ("x", "y", "z", "cos_inc_angle", "object_idx", "object_tag"),
        ("x", "y", "z", "CosAngle", "ObjIdx", "ObjTag"),
        strict=True,
    )
)
_RADAR_NAMES = dict(
    zip(
        ("x", "y", "z", "velocity", "azimuth", "altitude", "depth"),
        ("x", "y", "z", "Velocity", "AzimuthAngle", "ElevationAngle", "Range"),
        strict=True,
    )
)


def _layout(names: dict[str, str], source: np.dtype) -> np.dtype:
    """The points' fields in the order of ``names``, without holes."""
    return np.dtype([(name, source[found].str) for name, found in names.items()])


SEMANTIC_LIDAR = _layout(_SEMANTIC_NAMES, SEMANTIC_POINT)
RADAR = _layout(_RADAR_NAMES, RADAR_POINT)


def plain(entry: Topic) -> Topic:
    """A topic with the native interface's QoS: volatile, one sample.

    /tf stays as it is: there every sensor has a writer of its own, here one writes for all.
    """
    if entry.key == "tf":
        return entry
    return Topic(
        entry.key,
        entry.template,
        entry.type_name,
        depth=1,
        best_effort=True,
        publisher=entry.publisher,
    )


def native_topic(key: str) -> Topic:
    """A topic of the table, or of this interface alone."""
    return ACKERMANN if key == ACKERMANN.key else topic(key)


def native_topics(sensor_type: str, sensor_id: str) -> SensorTopics:
    """The topics of a sensor; keys and suffixes are those of carla-ros-bridge.

    Raises:
        UserError: unknown type, or an id that cannot be part of a topic's name.
    """
    found = {}
    for suffix, entry in sensor_topics(sensor_type, sensor_id).by_suffix.items():
        if entry.type_name.endswith("PointCloud2"):
            template = f"/carla/{{role}}/{sensor_id}{CLOUD_SUFFIX}"
            entry = Topic(entry.key, template, entry.type_name)
        found[suffix] = plain(entry)
    return SensorTopics(found)


def depth_image(head: Header, depth_m: np.ndarray) -> Image:
    """(H, W) depth along the optical axis, m, as fraction of 1,000 m in red, green, blue.

    Raises:
        ValueError: a depth is negative or not a number.
    """
    if not (depth_m >= 0.0).all():
        raise ValueError("a depth is negative or not a number")
    codes = np.rint(np.minimum(depth_m, FAR_M).astype(float) / FAR_M * DEPTH_CODES).astype("<u4")
    return build.rgb_image(head, np.ascontiguousarray(codes[..., None].view(np.uint8)[..., :3]))


def semantic_image(head: Header, tags: np.ndarray) -> Image:
    """(H, W) semantic tags in the red channel."""
    pixels = np.zeros((*tags.shape, 3), np.uint8)
    pixels[..., 0] = tags
    return build.rgb_image(head, pixels)


def semantic_lidar(head: Header, points: np.ndarray) -> PointCloud2:
    """Points with their tags, under the native names."""
    return build.cloud(head, _renamed(points, _SEMANTIC_NAMES, SEMANTIC_LIDAR), SEMANTIC_LIDAR)


def radar(head: Header, points: np.ndarray) -> PointCloud2:
    """Detections of 28 bytes."""
    return build.cloud(head, _renamed(points, _RADAR_NAMES, RADAR), RADAR)


def _renamed(points: np.ndarray, names: dict[str, str], layout: np.dtype) -> np.ndarray:
    result = np.zeros(len(points), layout)
    for name, found in names.items():
        result[name] = points[found]
    return result


def imu(head: Header, reading: ImuReading) -> Imu:
    """Acceleration and rates in left-handed axes; the attitude is a wrong heading."""
    message = build.imu(
        head,
        ImuReading(mirror_vector(reading.accel), mirror_rates(reading.gyro), reading.orientation),
    )
    compass = compass_from_yaw(yaw_from_quaternion(*reading.orientation))
    x, y, z, w = quaternion_from_yaw(math.remainder(NATIVE_COMPASS_ORIGIN - compass, math.tau))
    message.orientation = Quaternion(x=x, y=y, z=z, w=w)
    return message


def separate_transforms(message: TFMessage, role: str) -> list[TFMessage]:
    """One message per sensor, as each sensor sends its own; none says where the vehicle is."""
    return [
        TFMessage(transforms=[item]) for item in message.transforms if item.header.frame_id == role
    ]
