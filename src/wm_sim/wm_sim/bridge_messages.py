"""Scene frames to ROS messages, as carla-ros-bridge would have published them.

What carla-ros-bridge does wrong and a client must survive is done the same way here: stamps are
truncated float seconds, covariances are zero, the collision impulse keeps CARLA's left-handed axes
and wheel radii are in centimetres.
"""

from __future__ import annotations

import math

from carla_msgs.msg import (
    CarlaBoundingBox,
    CarlaCollisionEvent,
    CarlaEgoVehicleControl,
    CarlaEgoVehicleInfo,
    CarlaEgoVehicleInfoWheel,
    CarlaEgoVehicleStatus,
    CarlaLaneInvasionEvent,
    CarlaStatus,
    CarlaTrafficLightInfo,
    CarlaTrafficLightInfoList,
    CarlaTrafficLightStatus,
    CarlaTrafficLightStatusList,
    CarlaWorldInfo,
)
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
from nav_msgs.msg import Odometry, Path
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float32, String

from wm_perception.conventions import quaternion_from_yaw, to_vehicle_control
from wm_perception.frame import (
    Command,
    Contact,
    EgoState,
    LightBox,
    LightState,
    ObjectClass,
    SceneFrame,
)
from wm_perception.node_tools import header, time_message
from wm_perception.route import Route
from wm_sim.single_track import (
    FRICTION,
    FRONT_M,
    MASS_KG,
    MAX_BRAKE_MPS2,
    MAX_STEER_RAD,
    REAR_M,
)

HALF_TRACK_M, WHEEL_RADIUS_CM = 0.77, 33.0
TRIGGER_HEIGHT_M = 3.0
NS_PER_S = 1_000_000_000


def truncated(stamp_ns: int) -> int:
    """A stamp (ns) as carla-ros-bridge cuts it out of float seconds: up to 1 ns low."""
    seconds = stamp_ns / NS_PER_S
    whole = int(seconds)
    return whole * NS_PER_S + int((seconds - whole) * NS_PER_S)


def quaternion(yaw: float) -> Quaternion:
    """Heading (rad) -> message."""
    x, y, z, w = quaternion_from_yaw(yaw)
    return Quaternion(x=x, y=y, z=z, w=w)


def pose(x: float, y: float, yaw: float) -> Pose:
    """Ground pose -> message."""
    return Pose(position=Point(x=float(x), y=float(y)), orientation=quaternion(float(yaw)))


def control(command: Command) -> CarlaEgoVehicleControl:
    """Stack command -> CarlaEgoVehicleControl with an empty header (CARLA's signs).

    Raises:
        ValueError: the command is not finite.
    """
    throttle, steer, brake = to_vehicle_control(command)
    return CarlaEgoVehicleControl(
        throttle=throttle,
        steer=steer,
        brake=brake,
        reverse=command.reverse,
        gear=-1 if command.reverse else 1,
    )


def clock(stamp_ns: int) -> Clock:
    """Simulation time."""
    return Clock(clock=time_message(stamp_ns))


def status(frame_number: int, frame_dt: float, synchronous: bool, running: bool) -> CarlaStatus:
    """Run state of the simulation."""
    return CarlaStatus(
        frame=frame_number,
        fixed_delta_seconds=frame_dt,
        synchronous_mode=synchronous,
        synchronous_mode_running=running,
    )


def world_info(name: str, opendrive: str) -> CarlaWorldInfo:
    """Map name and text."""
    return CarlaWorldInfo(map_name=name, opendrive=opendrive)


def map_text(opendrive: str) -> String:
    """The text of /carla/map."""
    return String(data=opendrive)


def path(route: Route, stamp_ns: int) -> Path:
    """The route, 1 m spacing, empty headers in the poses as carla_waypoint_publisher sends them."""
    poses = [
        PoseStamped(pose=pose(x, y, yaw))
        for (x, y), yaw in zip(route.points, route.headings, strict=True)
    ]
    return Path(header=header(stamp_ns), poses=poses)


def light_info(boxes: tuple[LightBox, ...]) -> CarlaTrafficLightInfoList:
    """Trigger boxes; each light's pose is its box's."""
    return CarlaTrafficLightInfoList(
        traffic_lights=[
            CarlaTrafficLightInfo(
                id=box.id,
                transform=pose(*box.center, box.yaw),
                trigger_volume=CarlaBoundingBox(
                    size=Vector3(x=box.length, y=box.width, z=TRIGGER_HEIGHT_M)
                ),
            )
            for box in boxes
        ]
    )


def light_status(states: dict[int, LightState]) -> CarlaTrafficLightStatusList:
    """States of all lights."""
    return CarlaTrafficLightStatusList(
        traffic_lights=[
            CarlaTrafficLightStatus(id=light, state=int(state)) for light, state in states.items()
        ]
    )


def vehicle_info(ego_id: int, ego_type: str, role: str) -> CarlaEgoVehicleInfo:
    """Constants of the ego vehicle; wheels FL, FR, RL, RR, radius in cm."""
    wheels = [
        CarlaEgoVehicleInfoWheel(
            tire_friction=FRICTION,
            max_steer_angle=MAX_STEER_RAD if x > 0 else 0.0,
            radius=WHEEL_RADIUS_CM,
            max_brake_torque=MAX_BRAKE_MPS2 * MASS_KG / 4 * WHEEL_RADIUS_CM / 100,
            position=Vector3(x=x, y=y, z=WHEEL_RADIUS_CM / 100),
        )
        for x in (FRONT_M, -REAR_M)
        for y in (HALF_TRACK_M, -HALF_TRACK_M)
    ]
    return CarlaEgoVehicleInfo(
        id=ego_id,
        type=ego_type,
        rolename=role,
        wheels=wheels,
        use_gear_autobox=True,
        mass=MASS_KG,
    )


def odometry(stamp_ns: int, ego: EgoState, role: str) -> Odometry:
    """Pose in the map, twist in the body frame (flat ground, where the bridge's is right)."""
    message = Odometry(header=header(stamp_ns), child_frame_id=role)
    message.pose.pose = pose(ego.x, ego.y, ego.yaw)
    message.twist.twist.linear.x = float(ego.speed_mps)
    message.twist.twist.angular.z = float(ego.yaw_rate_radps)
    return message


def speedometer(ego: EgoState) -> Float32:
    """Signed forward speed."""
    return Float32(data=float(ego.speed_mps))


def vehicle_status(stamp_ns: int, ego: EgoState) -> CarlaEgoVehicleStatus:
    """Speed magnitude, acceleration in map axes (longitudinal and centripetal), command echo."""
    along, across = ego.accel_mps2, ego.speed_mps * ego.yaw_rate_radps
    cos, sin = math.cos(ego.yaw), math.sin(ego.yaw)
    message = CarlaEgoVehicleStatus(header=header(stamp_ns), velocity=abs(float(ego.speed_mps)))
    message.acceleration.linear.x = float(along * cos - across * sin)
    message.acceleration.linear.y = float(along * sin + across * cos)
    message.orientation = quaternion(ego.yaw)
    message.control = control(ego.command)
    return message


def collision(frame: SceneFrame, role: str) -> CarlaCollisionEvent:
    """A contact; the impulse (N s) is that on the ego, in CARLA's axes (y to the right)."""
    contact = frame.contact or Contact(0, ObjectClass.UNKNOWN, (0.0, 0.0))
    x, y = contact.impulse
    return CarlaCollisionEvent(
        header=header(frame.stamp_ns, f"{role}/collision"),
        other_actor_id=contact.other_id,
        normal_impulse=Vector3(x=float(x), y=float(-y)),
    )


def lane_invasion(frame: SceneFrame, role: str) -> CarlaLaneInvasionEvent:
    """Lane markings crossed during the frame; numbers are carla.LaneMarkingType's, 0 to 10."""
    return CarlaLaneInvasionEvent(
        header=header(frame.stamp_ns, f"{role}/lane_invasion"),
        crossed_lane_markings=[int(kind) for kind in frame.crossed_markings],
    )
