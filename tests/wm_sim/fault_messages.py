"""Messages as the bridge builds them, and what faults make of a series of them."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from derived_object_msgs.msg import Object, ObjectArray
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header

from wm_sim.faults import FaultInjector
from wm_sim.faults_spec import parse_faults

DT_NS = 100_000_000


def time(ns: int) -> Time:
    return Time(sec=ns // 10**9, nanosec=ns % 10**9)


def header(ns: int, frame_id: str = "map") -> Header:
    return Header(stamp=time(ns), frame_id=frame_id)


def odometry(ns: int, x: float = 1.0) -> Odometry:
    message = Odometry(header=header(ns), child_frame_id="ego_vehicle")
    message.pose.pose.position.x = x
    message.pose.pose.orientation.z, message.pose.pose.orientation.w = 0.6, 0.8
    message.pose.covariance[0] = 4.0
    message.twist.twist.linear.x = 5.0
    return message


def image(ns: int, shade: int = 100) -> Image:
    pixels = np.full((6, 8, 4), shade, np.uint8)
    pixels[..., 3] = 255
    message = Image(header=header(ns), height=6, width=8, step=32, encoding="bgra8")
    message.data = array("B", pixels.tobytes())
    return message


def cloud(ns: int) -> PointCloud2:
    points = np.zeros(5, [("x", "<f4"), ("y", "<f4"), ("tag", "<u4")])
    points["x"], points["tag"] = 3.0, 7
    names = (("x", 0, PointField.FLOAT32), ("y", 4, PointField.FLOAT32))
    names += (("tag", 8, PointField.UINT32),)
    message = PointCloud2(header=header(ns), height=1, width=5, point_step=12, row_step=60)
    message.fields = [PointField(name=n, offset=o, datatype=d, count=1) for n, o, d in names]
    message.data = array("B", points.tobytes())
    return message


def objects(ns: int) -> ObjectArray:
    shared = header(ns)  # as the bridge builds it: one header for all
    items = [Object(header=shared, id=k) for k in range(3)]
    for item in items:
        item.pose.position.x = 10.0
        item.shape.dimensions = [4.0, 2.0, 1.5]
    return ObjectArray(header=shared, objects=items)


def through(texts: str | list[str], make, frames: int, key: str = "odometry", **options):
    """What comes out in each frame when ``make(stamp)`` is published."""
    texts = [texts] if isinstance(texts, str) else texts
    injector = FaultInjector(parse_faults(texts), **options)
    result = []
    for k in range(frames):
        result.append(injector.apply(key, make(k * DT_NS), k * DT_NS))
        assert not injector.release(k * DT_NS)
    return result


def numbers(message) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8)
