"""What the bridge publishes of a scene and of a frame, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tf2_msgs.msg import TFMessage

from wm_perception.conventions import quaternion_from_yaw
from wm_perception.frame import EgoState, LightState, SceneFrame
from wm_perception.node_tools import header
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_sim import bridge_messages as build
from wm_sim import bridge_objects as crowd
from wm_sim.actors import Actor
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_sensor_messages import transform
from wm_sim.bridge_sensors import Sensors
from wm_sim.bridge_source import BridgeSource

Publish = Callable[[str, Any], None]
Wanted = Callable[[str], bool]


class BridgePublisher:
    """Publishes through a callable; remembers what latched topics already say."""

    def __init__(
        self,
        config: BridgeConfig,
        source: BridgeSource,
        publish: Publish,
        wanted: Wanted,
        sensors: Sensors | None = None,
        riders: Callable[[], list[Actor]] = list,
    ):
        """Set up.

        Args:
            config: parameters of the bridge.
            source: the simulator.
            publish: takes topic key and message.
            wanted: whether somebody listens to a topic key; big messages are built only then.
            sensors: what measures on the ego.
            riders: actors that ride on the ego.
        """
        self._config, self._source = config, source
        self._publish, self._wanted = publish, wanted
        self._sensors, self._riders = sensors, riders
        self._town: str | None = None
        self._lights: dict[int, LightState] | None = None
        self._static_sent = False
        self._accelerations = crowd.Accelerations()
        self._node_ns = 0  # what a node's clock shows: the frame before

    def status(self, number: int, running: bool) -> None:
        """Frame number and run state."""
        config = self._config
        message = build.status(number, config.frame_dt, config.synchronous, running)
        self._publish("status", message)

    def scene(self, scene: Scene, stamp_ns: int) -> None:
        """The latched topics of an episode that begins at ``stamp_ns``; the map when it changed."""
        town, role = scene.town, self._config.role_name
        if town.opendrive != self._town:
            self._town = town.opendrive
            self._static_sent = False
            self._publish("world_info", build.world_info(town.name, town.opendrive))
            self._publish("map", build.map_text(town.opendrive))
            ego = next(a for a in self._source.actors() if a.id == self._source.ego_id)
            self._publish("vehicle_info", build.vehicle_info(ego.id, ego.type, role))
        self._publish("traffic_lights_info", build.light_info(scene.lights))
        self._lights = None
        self.route(scene.route, stamp_ns)

    def route(self, route: Route, stamp_ns: int) -> None:
        """The path to follow from ``stamp_ns`` on."""
        self._publish("waypoints", build.path(route, stamp_ns))

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
        self._road_users(frame, number)
        self._actors()
        if self._sensors is not None:
            self._sensors.publish(frame, self._publish)
        if self._wanted("tf"):
            self._publish("tf", self._transforms(stamp, ego))
        self._publish("odometry", build.odometry(stamp, ego, role))
        self._node_ns = stamp

    def _road_users(self, frame: SceneFrame, number: int) -> None:
        accelerations = self._accelerations.update(frame)
        ego_id = self._source.ego_id
        if self._wanted("objects") or self._wanted("ego_objects"):
            everyone, others = crowd.object_arrays(
                frame, ego_id, number, accelerations, self._node_ns
            )
            self._publish("objects", everyone)
            self._publish("ego_objects", others)
        if self._wanted("carla_markers"):
            self._publish("carla_markers", crowd.markers(frame, ego_id))
        if self._wanted("carla_markers_static") and not self._static_sent:
            self._static_sent = True
            scenery = self._source.scenery
            message = crowd.static_markers(scenery.boxes, scenery.tags, frame.stamp_ns)
            self._publish("carla_markers_static", message)

    def _actors(self) -> None:
        if self._wanted("actor_list"):
            actors = [*self._source.actors(), *self._riders()]
            self._publish("actor_list", crowd.actor_list(actors))

    def _transforms(self, stamp_ns: int, ego: EgoState) -> TFMessage:
        body = transform(
            header(stamp_ns),
            self._config.role_name,
            (ego.x, ego.y, 0.0),
            quaternion_from_yaw(ego.yaw),
        )
        sensors = self._sensors.transforms(stamp_ns, ego) if self._sensors is not None else []
        return TFMessage(transforms=[body, *sensors])
