"""The one table of ROS topics: name, type, QoS and who publishes it.

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
    # Ego vehicle.
    Topic("vehicle_info", _EGO + "vehicle_info", "carla_msgs/msg/CarlaEgoVehicleInfo", 1, True),
    Topic("waypoints", _EGO + "waypoints", "nav_msgs/msg/Path", 1, True),
    Topic("speedometer", _EGO + "speedometer", "std_msgs/msg/Float32"),
    Topic("vehicle_status", _EGO + "vehicle_status", "carla_msgs/msg/CarlaEgoVehicleStatus"),
    Topic("ego_objects", _EGO + "objects", "derived_object_msgs/msg/ObjectArray"),
    Topic("collision", _EGO + "collision", "carla_msgs/msg/CarlaCollisionEvent"),
    Topic("lane_invasion", _EGO + "lane_invasion", "carla_msgs/msg/CarlaLaneInvasionEvent"),
    Topic("image", _EGO + CAMERA + "/image", "sensor_msgs/msg/Image", best_effort=True),
    Topic(
        "camera_info",
        _EGO + CAMERA + "/camera_info",
        "sensor_msgs/msg/CameraInfo",
        best_effort=True,
    ),
    Topic("odometry", _EGO + "odometry", "nav_msgs/msg/Odometry"),
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
    Topic("carla_control", "/carla/control", "carla_msgs/msg/CarlaControl", publisher="user"),
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
    Topic("markers", "/wm/markers", "visualization_msgs/msg/MarkerArray", publisher="stack"),
    Topic("safety_state", "/wm/safety_state", "wm_msgs/msg/SafetyState", publisher="stack"),
    Topic("diagnostics", "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", publisher="stack"),
)

_BY_KEY = {topic.key: topic for topic in TOPICS}


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

# What a recording holds by default, in subscription order; the image only when asked for.
RECORDED_KEYS: tuple[str, ...] = ("clock", "vehicle_control_cmd", *FRAME_KEYS)


def key_of(name: str, role: str = DEFAULT_ROLE) -> str | None:
    """The key of a topic name, or None when it is not in the table."""
    for candidate in TOPICS:
        if candidate.name(role) == name:
            return candidate.key
    return None
