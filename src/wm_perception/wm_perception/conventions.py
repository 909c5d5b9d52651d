"""The one place where CARLA's signs and frames become the stack's, and back.

Inside the stack everything is REP-103 (x forward, y left, z up; yaw counter-clockwise; SI) and
steering is left-positive. carla-ros-bridge already flips positions and orientations of poses into
that convention, but ``CarlaEgoVehicleControl.steer`` keeps CARLA's right-positive sign.
"""

from __future__ import annotations

import math

import numpy as np

from wm_perception.frame import Command, Objects


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


def box_corners(x: float, y: float, yaw: float, length: float, width: float) -> np.ndarray:
    """(4, 2) corners of a ground rectangle, counter-clockwise from the front left."""
    half = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.array([length / 2, width / 2])
    return to_map(half, np.array([x, y, yaw]))


def body_corners(objects: Objects) -> np.ndarray:
    """(M, 4, 2) corners of all bodies on the ground, each as :func:`box_corners`."""
    half = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (objects.sizes[:, None, :] / 2)
    x, y, yaw = objects.poses.T[:, :, None]
    cos, sin = np.cos(yaw), np.sin(yaw)
    along, left = half[..., 0], half[..., 1]
    return np.stack([x + cos * along - sin * left, y + sin * along + cos * left], -1)
