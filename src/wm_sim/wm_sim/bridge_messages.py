"""Scene frames to ROS messages, as carla-ros-bridge would have published them."""

from __future__ import annotations

import math

import numpy as np
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
from derived_object_msgs.msg import Object, ObjectArray
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, TransformStamped, Vector3
from nav_msgs.msg import Odometry, Path
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from shape_msgs.msg import SolidPrimitive
from std_msgs.msg import Float32, String
from tf2_msgs.msg import TFMessage

from wm_perception.conventions import quaternion_from_yaw, to_vehicle_control
from wm_perception.frame import Command, EgoState, LightBox, LightState, SceneFrame
from wm_perception.messages import fill_image
from wm_perception.node_tools import header, time_message
from wm_perception.scene import Scene
from wm_perception.topics import CAMERA
from wm_sim.vehicle import FRONT_M, MASS_KG, MAX_STEER_RAD, REAR_M

EGO_HEIGHT_M, OBJECT_HEIGHT_M = 1.5, 1.5
HALF_TRACK_M, WHEEL_RADIUS_CM = 0.77, 33.0
TRIGGER_HEIGHT_M = 3.0
WALKER_LENGTH_M = 1.2
EGO_TYPE = "vehicle.bmw.320i"


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
    return CarlaEgoVehicleControl(throttle=throttle, steer=steer, brake=brake)


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


def path(scene: Scene, stamp_ns: int) -> Path:
    """The route, 1 m spacing, empty headers in the poses as carla_waypoint_publisher sends them."""
    route = scene.route
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


def vehicle_info(ego_id: int, role: str) -> CarlaEgoVehicleInfo:
    """Constants of the ego vehicle; wheels FL, FR, RL, RR, radius in cm."""
    wheels = [
        CarlaEgoVehicleInfoWheel(
            max_steer_angle=MAX_STEER_RAD if x > 0 else 0.0,
            radius=WHEEL_RADIUS_CM,
            position=Vector3(x=x, y=y, z=WHEEL_RADIUS_CM / 100),
        )
        for x in (FRONT_M, -REAR_M)
        for y in (HALF_TRACK_M, -HALF_TRACK_M)
    ]
    return CarlaEgoVehicleInfo(id=ego_id, type=EGO_TYPE, rolename=role, wheels=wheels, mass=MASS_KG)


def odometry(stamp_ns: int, ego: EgoState, role: str) -> Odometry:
    """Pose in the map, twist in the body frame (flat ground, where the bridge's is right)."""
    message = Odometry(header=header(stamp_ns), child_frame_id=role)
    message.pose.pose = pose(ego.x, ego.y, ego.yaw)
    message.twist.twist.linear.x = float(ego.speed_mps)
    message.twist.twist.angular.z = float(ego.yaw_rate_radps)
    return message


def transform(stamp_ns: int, ego: EgoState, role: str) -> TFMessage:
    """map -> ego vehicle."""
    item = TransformStamped(header=header(stamp_ns), child_frame_id=role)
    item.transform.translation = Vector3(x=float(ego.x), y=float(ego.y))
    item.transform.rotation = quaternion(ego.yaw)
    return TFMessage(transforms=[item])


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


def _object(header_, identity: int, at, velocity, size, height: float, age: int) -> Object:
    length, width = float(size[0]), float(size[1])
    item = Object(
        header=header_,
        id=identity,
        object_classified=True,
        pose=pose(*at),
        shape=SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[length, width, height]),
        classification=(
            Object.CLASSIFICATION_PEDESTRIAN
            if length < WALKER_LENGTH_M
            else Object.CLASSIFICATION_CAR
        ),
        classification_certainty=255,
        classification_age=age,
    )
    item.twist.linear.x, item.twist.linear.y = float(velocity[0]), float(velocity[1])
    return item


def object_arrays(frame: SceneFrame, ego_id: int, age: int) -> tuple[ObjectArray, ObjectArray]:
    """(/carla/objects, R/objects): all road users with the ego, and without it."""
    ego, others, head = frame.ego, frame.objects, header(frame.stamp_ns)
    items = [
        _object(head, int(identity), at, velocity, size, OBJECT_HEIGHT_M, age)
        for identity, at, velocity, size in zip(
            others.ids, others.poses, others.velocities, others.sizes, strict=True
        )
    ]
    velocity = ego.speed_mps * math.cos(ego.yaw), ego.speed_mps * math.sin(ego.yaw)
    size = ego.length, ego.width
    own = _object(head, ego_id, ego.pose, velocity, size, EGO_HEIGHT_M, age)
    return ObjectArray(header=head, objects=[own, *items]), ObjectArray(header=head, objects=items)


def collision(frame: SceneFrame, role: str) -> CarlaCollisionEvent:
    """A contact with the nearest object; the impulse (N s, CARLA axes) is mass times speed."""
    message = CarlaCollisionEvent(header=header(frame.stamp_ns, f"{role}/collision"))
    ego, others = frame.ego, frame.objects
    impulse = MASS_KG * abs(ego.speed_mps)
    away = -math.cos(ego.yaw), -math.sin(ego.yaw)
    if len(others):
        offsets = ego.pose[:2] - others.poses[:, :2]
        distances = (offsets**2).sum(1) ** 0.5
        nearest = int(distances.argmin())
        message.other_actor_id = int(others.ids[nearest])
        away = tuple(offsets[nearest] / max(distances[nearest], 1e-6))
    message.normal_impulse = Vector3(x=float(impulse * away[0]), y=float(-impulse * away[1]))
    return message


def lane_invasion(frame: SceneFrame, role: str) -> CarlaLaneInvasionEvent:
    """Lane markings crossed during the frame."""
    return CarlaLaneInvasionEvent(
        header=header(frame.stamp_ns, f"{role}/lane_invasion"),
        crossed_lane_markings=[int(kind) for kind in frame.crossed_markings],
    )


def camera(
    stamp_ns: int, pixels: np.ndarray, role: str, fov_deg: float
) -> tuple[Image, CameraInfo]:
    """The front image (H, W, 3) uint8 RGB as bgra8, and its intrinsics."""
    head = header(stamp_ns, f"{role}/{CAMERA}")
    image = Image(header=head)
    fill_image(image, pixels)
    focal = image.width / (2.0 * math.tan(math.radians(fov_deg) / 2.0))
    cx, cy = image.width / 2.0, image.height / 2.0
    info = CameraInfo(
        header=head,
        height=image.height,
        width=image.width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
    return image, info
