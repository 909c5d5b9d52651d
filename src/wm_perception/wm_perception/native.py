"""Sensor messages of either CARLA interface as the same arrays.

carla-ros-bridge converts what it publishes to ROS conventions; CARLA's native ROS 2 interface sends
most of it as the sensor made it. Pictures and clouds say themselves how they are written. An IMU
message and a picture of semantic tags do not: whoever reads those says which interface they are
from. Signs are turned in :mod:`wm_perception.conventions`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import (
    mirror_rates,
    mirror_vector,
    wrap_angle,
    yaw_from_compass,
    yaw_from_quaternion,
)
from wm_perception.messages import MessageError, rgb_image
from wm_perception.semantics import CITYSCAPES_RGB

FAR_M = 1000.0  # what the largest encoded depth means
DEPTH_CODES = 2.0**24 - 1.0
# The native attitude is a rotation by 45° minus the compass, where 90° minus the compass is right.
NATIVE_COMPASS_ORIGIN = math.pi / 4.0
# Names of point fields in the native interface -> in carla-ros-bridge.
POINT_NAMES = {
    "cos_inc_angle": "CosAngle",
    "object_idx": "ObjIdx",
    "object_tag": "ObjTag",
    "depth": "Range",
    "velocity": "Velocity",
    "azimuth": "AzimuthAngle",
    "altitude": "ElevationAngle",
}
# sensor_msgs/PointField: datatype -> numpy.
_POINT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_PALETTE = {tuple(int(v) for v in colour): tag for tag, colour in enumerate(CITYSCAPES_RGB)}


@dataclass(frozen=True)
class ImuSample:
    """One measurement in the sensor's axes, REP-103.

    Attributes:
        accel: (3,) m/s^2, about +9.81 along z at rest.
        gyro: (3,) rad/s.
        yaw: heading of the sensor in the map frame, rad.
    """

    accel: np.ndarray
    gyro: np.ndarray
    yaw: float


def depth_image(message) -> np.ndarray:
    """sensor_msgs/Image of a depth camera -> (H, W) float32 depth along the optical axis, m.

    carla-ros-bridge sends 32FC1 in metres, the native interface a colour picture in which red,
    green and blue are the bytes of a fraction of 1,000 m.

    Raises:
        MessageError: another encoding, or data that do not fit the size.
    """
    if message.encoding != "32FC1":
        low, middle, high = np.moveaxis(rgb_image(message).astype(np.float64), -1, 0)
        return (FAR_M / DEPTH_CODES * (low + 256.0 * middle + 65536.0 * high)).astype(np.float32)
    height, width, step = message.height, message.width, message.step
    if height == 0 or width == 0 or step < 4 * width or len(message.data) != step * height:
        raise MessageError(
            f"depth image of {width} x {height} with step {step} has {len(message.data)} bytes"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)[:, : 4 * width]
    order = ">f4" if message.is_bigendian else "<f4"
    return np.ascontiguousarray(rows).view(order).astype(np.float32)


def semantic_tags(message, native: bool) -> np.ndarray:
    """sensor_msgs/Image of a segmentation camera -> (H, W) uint8 CARLA tags.

    Args:
        message: the picture.
        native: red is the tag itself; otherwise colours are those of the CityScapes palette.

    Raises:
        MessageError: no colour picture, or a colour that the palette does not have.
    """
    pixels = rgb_image(message)
    if native:
        return pixels[..., 0]
    colours, where = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    names = [tuple(int(v) for v in colour) for colour in colours]
    unknown = [name for name in names if name not in _PALETTE]
    if unknown:
        raise MessageError(f"colour {unknown[0]} is not in the CityScapes palette")
    return np.array([_PALETTE[n] for n in names], np.uint8)[where].reshape(pixels.shape[:2])


def imu_sample(message, native: bool) -> ImuSample:
    """sensor_msgs/Imu -> :class:`ImuSample`.

    The native interface (0.9.15, 0.9.16) sends CARLA's left-handed axes, and as attitude a heading
    that is 45° off (carla-simulator/carla #8897).

    Raises:
        MessageError: a value is not finite, or the attitude is no rotation.
    """
    accel, gyro, q = message.linear_acceleration, message.angular_velocity, message.orientation
    vectors = np.array([[accel.x, accel.y, accel.z], [gyro.x, gyro.y, gyro.z]], float)
    if not np.isfinite(vectors).all():
        raise MessageError(f"imu has values that are not finite ({vectors.tolist()})")
    if not 0.9 < q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w < 1.1:
        raise MessageError("imu attitude is not a unit quaternion")
    yaw = yaw_from_quaternion(q.x, q.y, q.z, q.w)
    if not native:
        return ImuSample(vectors[0], vectors[1], yaw)
    compass = NATIVE_COMPASS_ORIGIN - yaw
    return ImuSample(
        mirror_vector(vectors[0]), mirror_rates(vectors[1]), wrap_angle(yaw_from_compass(compass))
    )


def cloud(message) -> np.ndarray:
    """sensor_msgs/PointCloud2 -> (n,) structured array, fields by carla-ros-bridge's names.

    Fields are found by name, wherever they lie in a point: layouts differ between interfaces and
    have holes.

    Raises:
        MessageError: an unknown number type, a field outside of its point, or data that do not fit.
    """
    layout, used = _point_layout(message), message.point_step * message.width
    row_step, height = message.row_step, message.height
    if row_step < used or len(message.data) != row_step * height:
        raise MessageError(
            f"cloud of {message.width} x {height} points of {message.point_step} bytes and rows of "
            f"{row_step} has {len(message.data)} bytes"
        )
    if used * height == 0:
        return np.zeros(0, layout)
    rows = np.frombuffer(message.data, np.uint8).reshape(height, row_step)
    return np.ascontiguousarray(rows[:, :used]).view(layout).reshape(-1)


def _point_layout(message) -> np.dtype:
    """The structured type of one point."""
    order = ">" if message.is_bigendian else "<"
    formats = []
    for field in message.fields:
        kind = _POINT_TYPES.get(field.datatype)
        if kind is None or field.count != 1:
            raise MessageError(
                f"point field {field.name!r} has datatype {field.datatype} x {field.count}"
            )
        if field.offset + int(kind[1]) > message.point_step:
            raise MessageError(
                f"point field {field.name!r} ends outside of a point ({message.point_step} bytes)"
            )
        formats.append(order + kind)
    return np.dtype(
        {
            "names": [POINT_NAMES.get(field.name, field.name) for field in message.fields],
            "formats": formats,
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )


def points(message, names: tuple[str, ...] = ("x", "y", "z")) -> np.ndarray:
    """sensor_msgs/PointCloud2 -> (n, len(names)) float32 of the named fields.

    Raises:
        MessageError: as :func:`cloud`, or a field is missing.
    """
    rows = cloud(message)
    missing = [name for name in names if name not in (rows.dtype.names or ())]
    if missing:
        raise MessageError(f"cloud has no field {missing[0]!r}, but {rows.dtype.names}")
    return np.stack([rows[name].astype(np.float32) for name in names], -1)
