"""The one place where CARLA's signs and frames become the stack's, and back.

Inside the stack everything is REP-103 (x forward, y left, z up; yaw counter-clockwise; SI) and
steering is left-positive. carla-ros-bridge already flips positions and orientations of poses into
that convention, but ``CarlaEgoVehicleControl.steer`` keeps CARLA's right-positive sign.
"""

from __future__ import annotations

import math

import numpy as np

from wm_perception.frame import Command, Objects

_CORNERS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])  # of a box: along, left


def wrap_angle(angle):
    """Wrap an angle or array of angles (rad) to [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def to_vehicle_control(command: Command) -> tuple[float, float, float]:
    """Stack command -> (throttle, steer, brake) in CARLA's signs (steer right-positive).

    Raises:
        ValueError: the command is not finite; a NaN is never clamped into a command.
    """
    if not (math.isfinite(command.steer) and math.isfinite(command.accel)):
        raise ValueError(f"command is not finite: {command}")
    steer = min(1.0, max(-1.0, command.steer))
    accel = min(1.0, max(-1.0, command.accel))
    return max(0.0, accel), -steer + 0.0, max(0.0, -accel)


def from_vehicle_control(
    throttle: float, steer: float, brake: float, reverse: bool = False
) -> Command:
    """CARLA (throttle, right-positive steer, brake) -> stack command; brake wins over throttle."""
    return Command(-steer + 0.0, -brake if brake > 0.0 else throttle, bool(reverse))


def yaw_from_quaternion(x: float, y: float, z: float, w: float) -> float:
    """Heading (rad) of a unit quaternion in a z-up frame."""
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def quaternion_from_yaw(yaw: float) -> tuple[float, float, float, float]:
    """(x, y, z, w) of a pure heading (rad)."""
    return 0.0, 0.0, math.sin(yaw / 2.0), math.cos(yaw / 2.0)


def to_ego(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Map-frame points (..., 2) -> the frame of ``pose`` (3,): x forward, y left."""
    delta = np.asarray(points) - pose[:2]
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    return np.stack(
        [cos * delta[..., 0] + sin * delta[..., 1], -sin * delta[..., 0] + cos * delta[..., 1]], -1
    )


def to_map(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Points (..., 2) in the frame of ``pose`` (3,) -> map frame."""
    points = np.asarray(points)
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    return np.stack(
        [
            pose[0] + cos * points[..., 0] - sin * points[..., 1],
            pose[1] + sin * points[..., 0] + cos * points[..., 1],
        ],
        -1,
    )


def relative_motion(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(3,) dx, dy, dyaw of pose ``after`` seen from pose ``before`` (m, m, rad)."""
    dx, dy = to_ego(after[:2], before)
    return np.array([dx, dy, wrap_angle(after[2] - before[2])])


def carla_to_ros_pose(x: float, y: float, yaw_deg: float) -> tuple[float, float, float]:
    """CARLA left-handed x, y (m), yaw (deg) -> ROS map x, y, yaw (rad)."""
    return x, -y, -math.radians(yaw_deg)


def mirror_vector(vector: np.ndarray) -> np.ndarray:
    """(..., 3) in CARLA's left-handed axes -> REP-103, and back: y changes sign."""
    return np.asarray(vector) * (1.0, -1.0, 1.0)


def mirror_rates(rates: np.ndarray) -> np.ndarray:
    """(..., 3) rates of turn in CARLA's left-handed axes -> REP-103, and back: x and z change."""
    return np.asarray(rates) * (-1.0, 1.0, -1.0)


def compass_from_yaw(yaw: float) -> float:
    """Heading (rad) -> CARLA's compass: 0 is north (+y of the map), clockwise, in [0, 2 pi)."""
    return (math.pi / 2.0 - yaw) % (2.0 * math.pi)


def yaw_from_compass(compass: float) -> float:
    """CARLA's compass (rad) -> heading, the inverse of :func:`compass_from_yaw`."""
    return wrap_angle(math.pi / 2.0 - compass)


def ackermann_steering(angle_left: float, right_positive: bool) -> float:
    """Steering angle (rad, left-positive) -> AckermannDrive.steering_angle, and back.

    Args:
        angle_left: of the road wheels.
        right_positive: CARLA's native interface passes the number on to CARLA, where right is
            positive; carla_ackermann_control takes REP-103's left-positive angle.

    Raises:
        ValueError: the angle is not finite.
    """
    if not math.isfinite(angle_left):
        raise ValueError(f"steering angle is not finite: {angle_left}")
    return -angle_left + 0.0 if right_positive else angle_left


def box_corners(x: float, y: float, yaw: float, length: float, width: float) -> np.ndarray:
    """(4, 2) corners of a ground rectangle, counter-clockwise from the front left."""
    half = _CORNERS * np.array([length / 2, width / 2])
    return to_map(half, np.array([x, y, yaw]))


def body_corners(objects: Objects) -> np.ndarray:
    """(M, 4, 2) corners of all bodies on the ground, each as :func:`box_corners`."""
    along, left = (_CORNERS * (objects.sizes[:, None, :] / 2)).transpose(2, 0, 1)
    x, y, yaw = objects.poses.T[:, :, None]
    cos, sin = np.cos(yaw), np.sin(yaw)
    corners = np.empty((len(objects), 4, 2))
    corners[..., 0] = x + cos * along - sin * left
    corners[..., 1] = y + sin * along + cos * left
    return corners


def body_outline(objects: Objects) -> np.ndarray:
    """(M, 8, 2) corners of all bodies on the ground, and then the middles of their sides."""
    corners = body_corners(objects)
    return np.concatenate([corners, (corners + np.roll(corners, -1, 1)) / 2], 1)


def rotation_from_euler(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """(3, 3) rotation from a body's axes to its parent's; rad, REP-103 (pitch down is positive)."""
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a), math.cos(a)) for a in (roll, pitch, yaw))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def euler_from_rotation(rotation: np.ndarray) -> tuple[float, float, float]:
    """(roll, pitch, yaw) in rad of a (3, 3) rotation; the inverse of rotation_from_euler."""
    pitch = math.asin(min(1.0, max(-1.0, -float(rotation[2, 0]))))
    roll = math.atan2(rotation[2, 1], rotation[2, 2])
    return roll, pitch, math.atan2(rotation[1, 0], rotation[0, 0])


def euler_from_quaternion(x: float, y: float, z: float, w: float) -> tuple[float, float, float]:
    """(roll, pitch, yaw) in rad of a unit quaternion; the inverse of quaternion_from_euler."""
    pitch = math.asin(min(1.0, max(-1.0, 2.0 * (w * y - z * x))))
    roll = math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    return roll, pitch, yaw_from_quaternion(x, y, z, w)


def quaternion_from_euler(roll: float, pitch: float, yaw: float) -> tuple[float, ...]:
    """(x, y, z, w) of roll, pitch and yaw (rad), the rotation of rotation_from_euler."""
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a / 2), math.cos(a / 2)) for a in (roll, pitch, yaw))
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )
