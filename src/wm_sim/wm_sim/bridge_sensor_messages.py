"""Sensor data to ROS messages, with carla-ros-bridge's encodings and field layouts.

Pictures and clouds are written as whole arrays: nothing here loops over pixels or points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from sensor_msgs.msg import CameraInfo, Image, Imu, NavSatFix, PointCloud2, PointField
from std_msgs.msg import Header

from wm_perception.conventions import quaternion_from_euler
from wm_perception.messages import to_array
from wm_perception.semantics import CITYSCAPES_RGB
from wm_sim.gnss import GnssReading
from wm_sim.imu import ImuReading

# Layouts, byte for byte. The radar's has a hole of four bytes before the elevation.
LIDAR = np.dtype([(name, "<f4") for name in ("x", "y", "z", "intensity")])
SEMANTIC_LIDAR = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "CosAngle")),
        *((name, "<u4") for name in ("ObjIdx", "ObjTag")),
    ]
)
RADAR = np.dtype(
    {
        "names": ["x", "y", "z", "Range", "Velocity", "AzimuthAngle", "ElevationAngle"],
        "formats": ["<f4"] * 7,
        "offsets": [0, 4, 8, 12, 16, 20, 28],
        "itemsize": 32,
    }
)


_DATATYPES = {
    "<f4": PointField.FLOAT32,
    "<f8": PointField.FLOAT64,
    "<u2": PointField.UINT16,
    "<u4": PointField.UINT32,
    "|i1": PointField.INT8,
}
_CITYSCAPES_BGRA = np.c_[CITYSCAPES_RGB[:, ::-1], np.full(len(CITYSCAPES_RGB), 255, np.uint8)]
# A camera's frame as ROS wants it: z forward, x to the right, y down.
_OPTICAL = quaternion_from_euler(-math.pi / 2, 0.0, -math.pi / 2)


def _image(head: Header, pixels: np.ndarray, encoding: str) -> Image:
    height, width = pixels.shape[:2]
    return Image(
        header=head,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=pixels.nbytes // height,
        data=to_array(pixels, "B"),
    )


def rgb_image(head: Header, pixels: np.ndarray) -> Image:
    """(H, W, 3) uint8 RGB as bgra8."""
    return _image(head, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGRA), "bgra8")


def depth_image(head: Header, depth_m: np.ndarray) -> Image:
    """(H, W) depth along the optical axis, m, as 32FC1."""
    return _image(head, depth_m.astype("<f4", copy=False), "32FC1")


def semantic_image(head: Header, tags: np.ndarray) -> Image:
    """(H, W) semantic tags as bgra8 in CityScapes colours."""
    return _image(head, _CITYSCAPES_BGRA[tags], "bgra8")


def events_image(head: Header, events: np.ndarray, height: int, width: int) -> Image:
    """Events as bgr8 on black: blue where it became darker, red where it became brighter."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[events["y"], events["x"], 2 * events["pol"]] = 255
    return _image(head, pixels, "bgr8")


def camera_info(head: Header, width: int, height: int, fov_deg: float) -> CameraInfo:
    """Pinhole intrinsics; CARLA's lens attributes are not modelled."""
    focal = width / (2.0 * math.tan(math.radians(fov_deg) / 2.0))
    cx, cy = width / 2.0, height / 2.0
    return CameraInfo(
        header=head,
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def cloud(head: Header, points: np.ndarray, layout: np.dtype) -> PointCloud2:
    """A cloud of one row.

    Args:
        head: header.
        points: (n,) structured with the layout's names, or (n, fields) of one number type.
        layout: structured dtype, written as it is, holes included.
    """
    names = layout.names or ()
    rows = np.zeros(len(points), layout)
    for column, name in enumerate(names):
        rows[name] = points[name] if points.dtype.names else points[:, column]
    fields = dict(layout.fields or {})
    return PointCloud2(
        header=head,
        height=1,
        width=len(rows),
        fields=[
            PointField(name=n, offset=fields[n][1], datatype=_DATATYPES[fields[n][0].str], count=1)
            for n in names
        ],
        is_bigendian=False,
        point_step=layout.itemsize,
        row_step=layout.itemsize * len(rows),
        data=to_array(rows, "B"),
        is_dense=False,
    )


def imu(head: Header, reading: ImuReading) -> Imu:
    """Acceleration and rates in the sensor's axes, attitude in the map; no covariances."""
    message = Imu(header=head)
    x, y, z, w = reading.orientation
    message.orientation = Quaternion(x=x, y=y, z=z, w=w)
    message.angular_velocity = _vector(reading.gyro.tolist())
    message.linear_acceleration = _vector(reading.accel.tolist())
    return message


def gnss(head: Header, reading: GnssReading) -> NavSatFix:
    """Position in degrees and metres; no covariance."""
    return NavSatFix(
        header=head,
        latitude=reading.latitude,
        longitude=reading.longitude,
        altitude=reading.altitude,
    )


def _vector(values: Iterable[float]) -> Vector3:
    x, y, z = values
    return Vector3(x=x, y=y, z=z)


def transform(
    head: Header,
    child: str,
    position: Iterable[float],
    quaternion: tuple[float, ...],
    optical: bool = False,
) -> TransformStamped:
    """Where a frame is in the header's frame.

    Args:
        head: header with the parent's frame id.
        child: frame id.
        position: x, y, z in m.
        quaternion: x, y, z, w of the body's attitude (x forward, y left, z up).
        optical: turn the child to a camera's axes (z forward, x to the right, y down).
    """
    x, y, z, w = _product(quaternion, _OPTICAL) if optical else quaternion
    message = TransformStamped(header=head, child_frame_id=child)
    message.transform.translation = _vector(map(float, position))
    message.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    return message


def _product(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    """Hamilton product of two quaternions (x, y, z, w): first ``b``, then ``a``."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
