"""Topics of sensors: their names follow from the sensor's id, their types from its blueprint.

A sensor of a rig publishes under ``/carla/<role>/<id>`` with the suffixes below. Everything is
reliable, volatile and keeps ten samples, as all sensor topics of carla-ros-bridge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wm_dynamics.errors import UserError
from wm_perception.topics import TOPICS, Topic

_IMAGE = ("/image", "sensor_msgs/msg/Image")
_INFO = ("/camera_info", "sensor_msgs/msg/CameraInfo")
_CLOUD = "sensor_msgs/msg/PointCloud2"

# Blueprint -> (suffix, type) of every topic.
SENSOR_TOPICS: dict[str, tuple[tuple[str, str], ...]] = {
    "sensor.camera.rgb": (_IMAGE, _INFO),
    "sensor.camera.depth": (_IMAGE, _INFO),
    "sensor.camera.semantic_segmentation": (_IMAGE, _INFO),
    "sensor.camera.dvs": (_IMAGE, _INFO, ("/events", _CLOUD)),
    "sensor.lidar.ray_cast": (("", _CLOUD),),
    "sensor.lidar.ray_cast_semantic": (("", _CLOUD),),
    "sensor.other.radar": (("", _CLOUD),),
    "sensor.other.imu": (("", "sensor_msgs/msg/Imu"),),
    "sensor.other.gnss": (("", "sensor_msgs/msg/NavSatFix"),),
}
# Sensors of events and of quantities that the bridge computes; one of each at most.
PSEUDO_TOPICS: dict[str, tuple[str, ...]] = {
    "sensor.other.collision": ("collision",),
    "sensor.other.lane_invasion": ("lane_invasion",),
    "sensor.pseudo.tf": ("tf",),
    "sensor.pseudo.odom": ("odometry",),
    "sensor.pseudo.speedometer": ("speedometer",),
    "sensor.pseudo.objects": ("objects", "ego_objects"),
    "sensor.pseudo.actor_list": ("actor_list",),
    "sensor.pseudo.markers": ("carla_markers", "carla_markers_static"),
    "sensor.pseudo.traffic_lights": ("traffic_lights_status", "traffic_lights_info"),
    "sensor.pseudo.opendrive_map": ("map",),
    "actor.pseudo.control": ("set_transform", "set_target_velocity"),
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KNOWN = {entry.template: entry.key for entry in TOPICS}


@dataclass(frozen=True)
class SensorTopics:
    """Topics of one sensor: suffix -> topic."""

    by_suffix: dict[str, Topic]

    def key(self, suffix: str = "") -> str:
        """The key of the topic with that suffix."""
        return self.by_suffix[suffix].key


def check_id(sensor_id: str) -> None:
    """Refuse an id that cannot be part of a topic's name.

    Raises:
        UserError: it cannot.
    """
    if not _NAME.fullmatch(sensor_id):
        raise UserError(
            f"id '{sensor_id}' becomes part of a topic's name: use letters, digits and _, "
            "with a letter first"
        )


def sensor_topics(sensor_type: str, sensor_id: str) -> SensorTopics:
    """The topics of a sensor.

    A topic that the table of topics lists too (the front camera's) has the table's key, any other
    one its name below the role: ``lidar``, ``depth_front/image``.

    Raises:
        UserError: the sensor is of no known type, or its id cannot be part of a topic's name.
    """
    if sensor_type not in SENSOR_TOPICS:
        known = ", ".join(SENSOR_TOPICS)
        raise UserError(f"there is no sensor of type '{sensor_type}'; known types: {known}")
    check_id(sensor_id)
    found = {}
    for suffix, type_name in SENSOR_TOPICS[sensor_type]:
        template = f"/carla/{{role}}/{sensor_id}{suffix}"
        key = _KNOWN.get(template, f"{sensor_id}{suffix}")
        found[suffix] = Topic(key, template, type_name, best_effort=True)
    return SensorTopics(found)
