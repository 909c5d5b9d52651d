"""The two ROS 2 interfaces of CARLA that the embedded bridge can have: what differs, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wm_perception.sensor_topics import SENSOR_TOPICS, SensorTopics, sensor_topics
from wm_perception.topics import Topic, topic
from wm_sim import bridge_sensor_messages as build
from wm_sim import native

Build = Callable[[Any, Any], Any]  # header and data -> message


@dataclass(frozen=True)
class Interface:
    """What is published, heard and served, and how sensors' data are written.

    Attributes:
        published, heard: keys of topics that are there whatever the rig.
        topic: key -> topic.
        quality: a topic -> the same with the interface's QoS.
        sensor_topics: type and id of a sensor -> its topics.
        frame_id: role and sensor id -> name of the sensor's frame.
        build: type of a sensor -> what makes its message (a camera's: the picture).
        optical: frames of cameras have optical axes.
        pseudo: types of pseudo sensors and event sensors that are offered; None for all.
        services: carla-ros-bridge's services are there.
        outgoing: key, message and role -> what is sent in its place.
    """

    published: tuple[str, ...]
    heard: tuple[str, ...]
    topic: Callable[[str], Topic]
    quality: Callable[[Topic], Topic]
    sensor_topics: Callable[[str, str], SensorTopics]
    frame_id: Callable[[str, str], str]
    build: Mapping[str, Build]
    optical: bool
    pseudo: tuple[str, ...] | None
    services: bool
    outgoing: Callable[[str, Any, str], list[Any]]

    def has(self, pseudo_type: str) -> bool:
        """Whether a pseudo sensor or event sensor is offered."""
        return self.pseudo is None or pseudo_type in self.pseudo


def _native_outgoing(key: str, message: Any, role: str) -> list[Any]:
    if key == "tf":
        return native.separate_transforms(message, role)
    if key == "collision":
        message.header.frame_id = "collision"
    return [message]


_SAME: dict[str, Build] = {
    "sensor.camera.rgb": build.rgb_image,
    "sensor.lidar.ray_cast": lambda head, data: build.cloud(head, data, build.LIDAR),
    "sensor.other.gnss": build.gnss,
}
BRIDGE = Interface(
    published=("clock", "status", "world_info", "vehicle_info", "vehicle_status", "waypoints"),
    heard=(
        "vehicle_control_cmd",
        "vehicle_control_cmd_manual",
        "vehicle_control_manual_override",
        "ackermann_cmd",
        "enable_autopilot",
        "carla_control",
        "weather_control",
        "debug_marker",
        "initialpose",
        "goal",
    ),
    topic=topic,
    quality=lambda entry: entry,
    sensor_topics=sensor_topics,
    frame_id=lambda role, sensor_id: f"{role}/{sensor_id}",
    build=_SAME
    | {
        "sensor.camera.depth": build.depth_image,
        "sensor.camera.semantic_segmentation": build.semantic_image,
        "sensor.lidar.ray_cast_semantic": lambda head, data: build.cloud(
            head, data, build.SEMANTIC_LIDAR
        ),
        "sensor.other.radar": lambda head, data: build.cloud(head, data, build.RADAR),
        "sensor.other.imu": build.imu,
    },
    optical=True,
    pseudo=None,
    services=True,
    outgoing=lambda key, message, role: [message],
)
NATIVE = Interface(
    published=("clock", "tf"),
    heard=("vehicle_control_cmd", native.ACKERMANN.key),
    topic=native.native_topic,
    quality=native.plain,
    sensor_topics=native.native_topics,
    frame_id=lambda role, sensor_id: sensor_id,
    build=_SAME
    | {
        "sensor.camera.depth": native.depth_image,
        "sensor.camera.semantic_segmentation": native.semantic_image,
        "sensor.lidar.ray_cast_semantic": native.semantic_lidar,
        "sensor.other.radar": native.radar,
        "sensor.other.imu": native.imu,
    },
    optical=False,
    pseudo=("sensor.other.collision",),
    services=False,
    outgoing=_native_outgoing,
)
INTERFACES = {"bridge": BRIDGE, "native": NATIVE}
EVENT_CAMERA = "sensor.camera.dvs"  # made from pictures by the bridge itself
assert all({*i.build, EVENT_CAMERA} == set(SENSOR_TOPICS) for i in INTERFACES.values())
