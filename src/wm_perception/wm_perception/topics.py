"""The one table of ROS topics and services: name, type, QoS and who publishes it.

Names and QoS of the vehicle interface are those of carla-ros-bridge: every endpoint is reliable,
keeps the last ``depth`` samples and is volatile unless it is latched (transient local). The stack
subscribes to images best-effort, so that a source which offers no more still matches; state topics
are small and stay reliable, because one lost sample would cost a whole synchronised frame.

The table itself needs no ROS; :meth:`Topic.message_type` and the QoS helpers import it lazily.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

DEFAULT_ROLE = "ego_vehicle"
CAMERA = "rgb_front"
START_ROUTE_SERVICE = "/wm_sim/start_route"


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        key: the name the code uses.
        template: topic name; ``{role}`` stands for the role name of the ego vehicle.
        type_name: ``package/msg/Type``.
        depth: samples kept.
        latched: transient local: late subscribers get the last samples.
        best_effort: the stack subscribes best-effort (publishers stay reliable).
        publisher: ``source`` (CARLA, its bridge or the embedded simulator), ``stack`` or ``user``.
    """

    key: str
    template: str
    type_name: str
    depth: int = 10
    latched: bool = False
    best_effort: bool = False
    publisher: str = "source"

    def name(self, role: str = DEFAULT_ROLE) -> str:
        """The topic's name for a role name."""
        return self.template.format(role=role)

    def message_type(self) -> type:
        """The rclpy message class.

        Raises:
            ImportError: the message package is not installed.
        """
        package, _, name = self.type_name.split("/")
        return getattr(importlib.import_module(f"{package}.msg"), name)

    def _qos(self, reliable: bool):
        from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=self.depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=(
                DurabilityPolicy.TRANSIENT_LOCAL if self.latched else DurabilityPolicy.VOLATILE
            ),
        )

    def publisher_qos(self, depth: int = 0):
        """rclpy QoS for a publisher of this topic: always reliable.

        Args:
            depth: samples kept for readers that have not acknowledged them yet; 0 for the table's.
        """
        profile = self._qos(reliable=True)
        profile.depth = depth or self.depth
        return profile

    def subscriber_qos(self, depth: int = 0):
        """rclpy QoS for a subscriber in the stack.

        Args:
            depth: samples kept, where a slow listener must not lose any; 0 for the table's.
        """
        profile = self._qos(reliable=not self.best_effort)
        profile.depth = depth or self.depth
        return profile


_EGO = "/carla/{role}/"
_CONTROL = "carla_msgs/msg/CarlaEgoVehicleControl"
_MARKERS = "visualization_msgs/msg/MarkerArray"
_IMAGE = "sensor_msgs/msg/Image"
_POSE, _TWIST = "geometry_msgs/msg/Pose", "geometry_msgs/msg/Twist"
_WEATHER = "carla_msgs/msg/CarlaWeatherParameters"

TOPICS: tuple[Topic, ...] = (
    # World.
    Topic("clock", "/clock", "rosgraph_msgs/msg/Clock"),
    Topic("status", "/carla/status", "carla_msgs/msg/CarlaStatus"),
    Topic("world_info", "/carla/world_info", "carla_msgs/msg/CarlaWorldInfo", latched=True),
    Topic("map", "/carla/map", "std_msgs/msg/String", latched=True),
    Topic("objects", "/carla/objects", "derived_object_msgs/msg/ObjectArray"),
    Topic(
        "traffic_lights_status",
        "/carla/traffic_lights/status",
        "carla_msgs/msg/CarlaTrafficLightStatusList",
        latched=True,
    ),
    Topic(
        "traffic_lights_info",
        "/carla/traffic_lights/info",
        "carla_msgs/msg/CarlaTrafficLightInfoList",
        latched=True,
    ),
    Topic("tf", "/tf", "tf2_msgs/msg/TFMessage", depth=100),
    Topic("actor_list", "/carla/actor_list", "carla_msgs/msg/CarlaActorList"),
    Topic("carla_markers", "/carla/markers", _MARKERS),
    Topic("carla_markers_static", "/carla/markers/static", _MARKERS, depth=1, latched=True),
    # Ego vehicle.
    Topic("vehicle_info", _EGO + "vehicle_info", "carla_msgs/msg/CarlaEgoVehicleInfo", 1, True),
    Topic("waypoints", _EGO + "waypoints", "nav_msgs/msg/Path", 1, True),
    Topic("speedometer", _EGO + "speedometer", "std_msgs/msg/Float32"),
    Topic("vehicle_status", _EGO + "vehicle_status", "carla_msgs/msg/CarlaEgoVehicleStatus"),
    Topic("ego_objects", _EGO + "objects", "derived_object_msgs/msg/ObjectArray"),
    Topic("collision", _EGO + "collision", "carla_msgs/msg/CarlaCollisionEvent"),
    Topic("lane_invasion", _EGO + "lane_invasion", "carla_msgs/msg/CarlaLaneInvasionEvent"),
    Topic("image", _EGO + CAMERA + "/image", _IMAGE, best_effort=True),
    Topic(
        "camera_info",
        _EGO + CAMERA + "/camera_info",
        "sensor_msgs/msg/CameraInfo",
        best_effort=True,
    ),
    Topic("odometry", _EGO + "odometry", "nav_msgs/msg/Odometry"),
    # Of the embedded simulator only: what its bridge does wrong on purpose.
    Topic("faults", "/wm_sim/faults", "wm_msgs/msg/FaultArray", 1, True),
    # Inputs of the source.
    Topic("vehicle_control_cmd", _EGO + "vehicle_control_cmd", _CONTROL, publisher="stack"),
    Topic(
        "vehicle_control_cmd_manual",
        _EGO + "vehicle_control_cmd_manual",
        _CONTROL,
        publisher="user",
    ),
    Topic(
        "vehicle_control_manual_override",
        _EGO + "vehicle_control_manual_override",
        "std_msgs/msg/Bool",
        depth=1,
        latched=True,
        publisher="user",
    ),
    Topic(
        "ackermann_cmd",
        _EGO + "ackermann_cmd",
        "ackermann_msgs/msg/AckermannDrive",
        publisher="user",
    ),
    Topic("enable_autopilot", _EGO + "enable_autopilot", "std_msgs/msg/Bool", publisher="user"),
    Topic("set_transform", _EGO + "control/set_transform", _POSE, publisher="user"),
    Topic("set_target_velocity", _EGO + "control/set_target_velocity", _TWIST, publisher="user"),
    Topic("goal", _EGO + "goal", "geometry_msgs/msg/PoseStamped", publisher="user"),
    Topic("carla_control", "/carla/control", "carla_msgs/msg/CarlaControl", publisher="user"),
    Topic("weather_control", "/carla/weather_control", _WEATHER, publisher="user"),
    Topic("debug_marker", "/carla/debug_marker", _MARKERS, publisher="user"),
    Topic(
        "initialpose",
        "/initialpose",
        "geometry_msgs/msg/PoseWithCovarianceStamped",
        publisher="user",
    ),
    # The stack's own. Depth 1 on the control path: only the newest frame is worth acting on.
    Topic("latent", "/wm/latent", "wm_msgs/msg/Latent", 1, publisher="stack"),
    Topic(
        "control_proposal",
        "/wm/control_proposal",
        "wm_msgs/msg/ControlProposal",
        1,
        publisher="stack",
    ),
    Topic("plan", "/wm/plan", "nav_msgs/msg/Path", publisher="stack"),
    Topic(
        "plan_statistics", "/wm/plan_statistics", "wm_msgs/msg/PlanStatistics", publisher="stack"
    ),
    Topic(
        "imagined_rollouts",
        "/wm/imagined_rollouts",
        "wm_msgs/msg/ImaginedRollouts",
        publisher="stack",
    ),
    Topic("markers", "/wm/markers", _MARKERS, publisher="stack"),
    Topic("overlay", "/wm/overlay", _MARKERS, publisher="stack"),
    Topic("map_markers", "/wm/map", _MARKERS, 1, True, publisher="stack"),
    Topic("bev_mask", "/wm/bev_mask", _IMAGE, publisher="stack"),
    Topic("bev", "/wm/bev", _IMAGE, publisher="stack"),
    Topic("imagined_bev", "/wm/imagined/bev", _IMAGE, publisher="stack"),
    Topic("imagined_camera", "/wm/imagined/camera", _IMAGE, publisher="stack"),
    Topic("surprise_map", "/wm/surprise", _IMAGE, publisher="stack"),
    Topic("safety_state", "/wm/safety_state", "wm_msgs/msg/SafetyState", publisher="stack"),
    Topic("diagnostics", "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", publisher="stack"),
)


@dataclass(frozen=True)
class Service:
    """One service of the source.

    Attributes:
        key: the name the code uses.
        template: service name; ``{role}`` stands for the role name of the ego vehicle.
        type_name: ``package/srv/Type``.
    """

    key: str
    template: str
    type_name: str

    def name(self, role: str = DEFAULT_ROLE) -> str:
        """The service's name for a role name."""
        return self.template.format(role=role)

    def service_type(self) -> type:
        """The rclpy service class.

        Raises:
            ImportError: the message package is not installed.
        """
        package, _, name = self.type_name.split("/")
        return getattr(importlib.import_module(f"{package}.srv"), name)


_WAYPOINTS = "/carla_waypoint_publisher/{role}/"

SERVICES: tuple[Service, ...] = (
    Service("spawn_object", "/carla/spawn_object", "carla_msgs/srv/SpawnObject"),
    Service("destroy_object", "/carla/destroy_object", "carla_msgs/srv/DestroyObject"),
    Service("get_blueprints", "/carla/get_blueprints", "carla_msgs/srv/GetBlueprints"),
    Service("get_waypoint", _WAYPOINTS + "get_waypoint", "carla_waypoint_types/srv/GetWaypoint"),
    Service(
        "get_actor_waypoint",
        _WAYPOINTS + "get_actor_waypoint",
        "carla_waypoint_types/srv/GetActorWaypoint",
    ),
    Service("start_route", START_ROUTE_SERVICE, "wm_msgs/srv/StartRoute"),
    Service("set_faults", "/wm_sim/set_faults", "wm_msgs/srv/SetFaults"),
)

_BY_KEY = {topic.key: topic for topic in TOPICS}
_SERVICE_BY_KEY = {service.key: service for service in SERVICES}


def service(key: str) -> Service:
    """The service called ``key``.

    Raises:
        KeyError: no such key.
    """
    return _SERVICE_BY_KEY[key]


def topic(key: str) -> Topic:
    """The topic called ``key``.

    Raises:
        KeyError: no such key.
    """
    return _BY_KEY[key]


# What the synchronised frame is made of, in the order in which nodes must create subscriptions:
# an executor serves ready subscriptions in creation order, so that with odometry last (the source
# publishes it last too) everything that belongs to a frame has been handled before it completes.
FRAME_KEYS: tuple[str, ...] = (
    "status",
    "world_info",
    "map",
    "traffic_lights_info",
    "traffic_lights_status",
    "vehicle_info",
    "waypoints",
    "collision",
    "lane_invasion",
    "speedometer",
    "vehicle_status",
    "objects",
    "image",
    "odometry",
)

# Of these, what carries no stamp and must be paired with a frame by the time it was published.
UNSTAMPED_KEYS: tuple[str, ...] = ("speedometer", "traffic_lights_status")

# What the stack believes, plans and allows: with it a drive can be watched again.
THOUGHT_KEYS: tuple[str, ...] = (
    "latent",
    "control_proposal",
    "plan",
    "plan_statistics",
    "imagined_rollouts",
    "safety_state",
    "diagnostics",
)

# What a recording holds by default, in subscription order; the image only when asked for.
RECORDED_KEYS: tuple[str, ...] = (
    "clock",
    "faults",
    "vehicle_control_cmd",
    *THOUGHT_KEYS,
    *FRAME_KEYS,
)


def key_of(name: str, role: str = DEFAULT_ROLE) -> str | None:
    """The key of a topic name, or None when it is not in the table."""
    for candidate in TOPICS:
        if candidate.name(role) == name:
            return candidate.key
    return None
