"""What the bridge publishes of a scene and of a frame, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wm_perception.frame import LightState, SceneFrame
from wm_perception.scene import Scene
from wm_sim import bridge_messages as build
from wm_sim.bridge_config import BridgeConfig

EGO_ID = 1_000_000


class BridgePublisher:
    """Publishes through a callable; remembers what latched topics already say."""

    def __init__(
        self,
        config: BridgeConfig,
        publish: Callable[[str, Any], None],
        wanted: Callable[[str], bool],
        fov_deg: float,
    ):
        """Set up.

        Args:
            config: parameters of the bridge.
            publish: takes topic key and message.
            wanted: whether somebody listens to a topic key; big messages are built only then.
            fov_deg: horizontal field of view of the camera.
        """
        self._config, self._fov_deg = config, fov_deg
        self._publish, self._wanted = publish, wanted
        self._town: str | None = None
        self._lights: dict[int, LightState] | None = None

    def status(self, number: int, running: bool) -> None:
        """Frame number and run state."""
        config = self._config
        message = build.status(number, config.frame_dt, config.synchronous, running)
        self._publish("status", message)

    def scene(self, scene: Scene, stamp_ns: int) -> None:
        """The latched topics of an episode that begins at ``stamp_ns``; the map when it changed."""
        town = scene.town
        if town.opendrive != self._town:
            self._town = town.opendrive
            self._publish("world_info", build.world_info(town.name, town.opendrive))
            self._publish("map", build.map_text(town.opendrive))
            self._publish("vehicle_info", build.vehicle_info(EGO_ID, self._config.role_name))
        self._publish("traffic_lights_info", build.light_info(scene.lights))
        self._lights = None
        self._publish("waypoints", build.path(scene, stamp_ns))

    def frame(self, frame: SceneFrame, number: int) -> None:
        """Everything of one frame: what carries no stamp first, odometry last."""
        role = self._config.role_name
        stamp, ego = frame.stamp_ns, frame.ego
        self._publish("clock", build.clock(stamp))
        if frame.light_states != self._lights:
            self._lights = dict(frame.light_states)
            self._publish("traffic_lights_status", build.light_status(self._lights))
        if frame.collided:
            self._publish("collision", build.collision(frame, role))
        if frame.crossed_markings:
            self._publish("lane_invasion", build.lane_invasion(frame, role))
        self._publish("speedometer", build.speedometer(ego))
        self._publish("vehicle_status", build.vehicle_status(stamp, ego))
        if self._wanted("objects") or self._wanted("ego_objects"):
            everyone, others = build.object_arrays(frame, EGO_ID, number)
            self._publish("objects", everyone)
            self._publish("ego_objects", others)
        if frame.image is not None and (self._wanted("image") or self._wanted("camera_info")):
            image, info = build.camera(stamp, frame.image, role, self._fov_deg)
            self._publish("camera_info", info)
            self._publish("image", image)
        self._publish("tf", build.transform(stamp, ego, role))
        self._publish("odometry", build.odometry(stamp, ego, role))
