"""The sensors of the rig on their topics: data are computed only for those that somebody hears."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped

from wm_dynamics.errors import UserError
from wm_perception.conventions import (
    euler_from_rotation,
    quaternion_from_euler,
    rotation_from_euler,
)
from wm_perception.frame import EgoState, SceneFrame
from wm_perception.node_tools import header
from wm_perception.sensor_topics import SensorTopics
from wm_sim import bridge_sensor_messages as build
from wm_sim.actors import Actor
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_outputs import Outputs
from wm_sim.bridge_source import BridgeSource
from wm_sim.camera import CameraUnavailable
from wm_sim.event_camera import EVENT, EventCamera, gap_limit_ns
from wm_sim.interfaces import EVENT_CAMERA, INTERFACES
from wm_sim.rig import SensorSpec

DVS, RGB = EVENT_CAMERA, "sensor.camera.rgb"
CAMERAS = (RGB, "sensor.camera.depth", "sensor.camera.semantic_segmentation", DVS)
FIRST_SENSOR_ID = 300_000


@dataclass(frozen=True)
class Mounted:
    """One sensor with its topics.

    Attributes:
        id: actor id.
        spec: what it is and where.
        topics: by suffix.
        events: of an event camera.
    """

    id: int
    spec: SensorSpec
    topics: SensorTopics
    events: EventCamera | None = None


def simulated(spec: SensorSpec) -> SensorSpec:
    """The sensor that the simulator must have: an event camera is computed from pictures."""
    return replace(spec, type=RGB) if spec.type == DVS else spec


class Sensors:
    """What rides on the ego.

    Args:
        source: the simulator, which has the sensors of the rig already.
        outputs: the bridge's publishers.
        config: parameters of the bridge. In lockstep, transforms are relative to the ego,
            otherwise to the map.
        complain: says what cannot be published.
    """

    def __init__(
        self, source: BridgeSource, outputs: Outputs, config: BridgeConfig, complain: Complaints
    ):
        self._source, self._outputs, self._complain = source, outputs, complain
        self._role, self._frame_dt = config.role_name, config.frame_dt
        self._interface = INTERFACES[config.interface]
        self._fixed = config.synchronous or not self._interface.optical
        self._mounted: dict[int, Mounted] = {}
        self._next_id = FIRST_SENSOR_ID

    @property
    def mounted(self) -> tuple[Mounted, ...]:
        """All sensors, in the order in which they came."""
        return tuple(self._mounted.values())

    def actors(self) -> list[Actor]:
        """The sensors as actors."""
        ego_id = self._source.ego_id
        return [Actor(i.id, i.spec.type, i.spec.id, ego_id) for i in self._mounted.values()]

    def offer(self, spec: SensorSpec) -> int:
        """Offer the topics of a sensor that the simulator has; returns its actor id.

        Raises:
            UserError: unknown type, or an id that makes no new topic.
        """
        topics = self._interface.sensor_topics(spec.type, spec.id)
        for entry in topics.by_suffix.values():
            if entry in self._outputs:
                raise UserError(
                    f"{entry.name(self._role)} is published already: "
                    "give the sensor another id, or destroy the one that has it"
                )
        events = EventCamera(spec) if spec.type == DVS else None
        for entry in topics.by_suffix.values():
            self._outputs.add(entry)
        item = Mounted(self._next_id, spec, topics, events)
        self._next_id += 1
        self._mounted[item.id] = item
        return item.id

    def spawn(self, spec: SensorSpec) -> int:
        """Put a new sensor on the ego; returns its actor id.

        Raises:
            UserError: unknown type, impossible attributes, or an id that makes no new topic.
        """
        identity = self.offer(spec)
        try:
            self._source.mount(simulated(spec))
        except UserError:
            self._withdraw(identity)
            raise
        return identity

    def destroy(self, identity: int) -> bool:
        """Remove a sensor; False when there is none of that id."""
        if identity not in self._mounted:
            return False
        self._source.unmount(self._withdraw(identity).spec.id)
        return True

    def _withdraw(self, identity: int) -> Mounted:
        item = self._mounted.pop(identity)
        for entry in item.topics.by_suffix.values():
            self._outputs.remove(entry.key)
        return item

    def warm_up(self) -> None:
        """Take one picture, so that drawing is set up before anybody waits for the first one."""
        for item in self.mounted:
            if item.spec.type in CAMERAS and self._read(item) is not None:
                return

    def _read(self, item: Mounted) -> Any:
        """A measurement, or None when there is none; without EGL, cameras are withdrawn."""
        try:
            return self._source.read(item.spec.id)
        except CameraUnavailable as error:
            self._complain("no camera image will be published", str(error))
            for camera in self.mounted:
                if camera.spec.type in CAMERAS:
                    self._withdraw(camera.id)
            return None

    def publish(self, frame: SceneFrame, publish: Callable[[str, Any], None]) -> None:
        """Send what each sensor that somebody hears measured in the current frame."""
        for item in self.mounted:
            keys = [entry.key for entry in item.topics.by_suffix.values()]
            if item.id not in self._mounted or not any(map(self._outputs.wanted, keys)):
                continue
            data = self._read(item)
            if data is None:
                continue
            for suffix, message in self._messages(item, data, frame.stamp_ns):
                publish(item.topics.key(suffix), message)

    def _messages(self, item: Mounted, data, stamp_ns: int) -> list[tuple[str, Any]]:
        head = header(stamp_ns, self._interface.frame_id(self._role, item.spec.id))
        kind = item.spec.type
        if kind.startswith("sensor.camera."):
            return self._pictures(item, data, head, stamp_ns)
        return [("", self._interface.build[kind](head, data))]

    def _pictures(self, item: Mounted, data: np.ndarray, head, stamp_ns: int):
        height, width = data.shape[:2]
        info = build.camera_info(head, width, height, item.spec.number("fov", 90.0))
        if item.events is None:
            image = self._interface.build[item.spec.type](head, data)
            return [("/camera_info", info), ("/image", image)]
        tick_s = item.spec.number("sensor_tick", 0.0)
        events = item.events.update(data, stamp_ns, gap_limit_ns(self._frame_dt, tick_s))
        return [
            ("/camera_info", info),
            ("/image", build.events_image(head, events, height, width)),
            ("/events", build.cloud(head, events, EVENT)),
        ]

    def transforms(self, stamp_ns: int, ego: EgoState) -> list[TransformStamped]:
        """Where the sensors are; cameras look along z in their frame."""
        return [self._transform(item.spec, stamp_ns, ego) for item in self._mounted.values()]

    def _transform(self, spec: SensorSpec, stamp_ns: int, ego: EgoState) -> TransformStamped:
        position, rotation = spec.position, spec.rotation
        if not self._fixed:
            turn = rotation_from_euler(0.0, 0.0, ego.yaw)
            position = np.array([ego.x, ego.y, 0.0]) + turn @ position
            rotation = turn @ rotation
        return build.transform(
            header(stamp_ns, self._role if self._fixed else "map"),
            self._interface.frame_id(self._role, spec.id),
            position.tolist(),
            quaternion_from_euler(*euler_from_rotation(rotation)),
            optical=self._interface.optical and spec.type.startswith("sensor.camera."),
        )


def sensor_spec(
    sensor_type: str,
    sensor_id: str,
    pose: tuple[float, float, float, float, float, float],
    attributes: dict[str, str],
) -> SensorSpec:
    """A sensor from what a client asked for.

    Args:
        sensor_type: blueprint.
        sensor_id: becomes part of the topics' names.
        pose: x, y, z (m), roll, pitch, yaw (rad) in the ego's frame.
        attributes: of the blueprint.

    Raises:
        UserError: the pose is not finite.
    """
    if not all(map(math.isfinite, pose)):
        raise UserError(f"the pose of sensor '{sensor_id}' is not finite")
    return SensorSpec(sensor_id, sensor_type, *pose, attributes)
