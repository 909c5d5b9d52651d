"""Decodes derived_object_msgs/ObjectArray about ten times as fast as the general decoder.

Objects are most of what a frame's messages are made of. Only what ``wm_perception.messages`` reads
is decoded; the rest is stepped over. Layout: OMG CDR, little-endian, with the fields in the order
of the message definitions, which :func:`fits` compares.
"""

from __future__ import annotations

import struct
from collections import namedtuple
from typing import Any

from rosbags.typesys.store import Typestore

OBJECT_ARRAY = "derived_object_msgs/msg/ObjectArray"
_LAYOUT = (
    OBJECT_ARRAY,
    "derived_object_msgs/msg/Object",
    "std_msgs/msg/Header",
    "builtin_interfaces/msg/Time",
    "geometry_msgs/msg/Pose",
    "geometry_msgs/msg/Point",
    "geometry_msgs/msg/Quaternion",
    "geometry_msgs/msg/Twist",
    "geometry_msgs/msg/Accel",
    "geometry_msgs/msg/Vector3",
    "geometry_msgs/msg/Polygon",
    "geometry_msgs/msg/Point32",
    "shape_msgs/msg/SolidPrimitive",
)
LITTLE_ENDIAN = b"\x00\x01"
POINT32_BYTES = 12

_Array = namedtuple("_Array", "header objects")
_Header = namedtuple("_Header", "stamp")
_Stamp = namedtuple("_Stamp", "sec nanosec")
_Object = namedtuple("_Object", "id pose twist shape classification")
_Pose = namedtuple("_Pose", "position orientation")
_Twist = namedtuple("_Twist", "linear")
_Vector = namedtuple("_Vector", "x y z")
_Quaternion = namedtuple("_Quaternion", "x y z w")
_Shape = namedtuple("_Shape", "type dimensions")

_TIME = struct.Struct("<iI")
_UINT = struct.Struct("<I")
_MOTION = struct.Struct("<19d")  # pose 7, twist 6, acceleration 6
_SIZES = [struct.Struct(f"<{count}d") for count in range(4)]


def fits(recorded: Typestore, known: Typestore) -> bool:
    """Whether a recording defines the messages as this module reads them."""
    return all(
        name in recorded.fielddefs and recorded.fielddefs[name][1] == known.fielddefs[name][1]
        for name in _LAYOUT
    )


def decode_objects(cdr: bytes) -> Any:
    """The message, as far as ``wm_perception.messages`` reads it.

    Raises:
        struct.error: the bytes end too early.
        ValueError: another encoding, or a shape with more than three dimensions.
    """
    if cdr[:2] != LITTLE_ENDIAN:
        raise ValueError(f"not little-endian CDR: {cdr[:2]!r}")
    body = memoryview(cdr)[4:]  # alignment counts from here
    stamp = _Stamp(*_TIME.unpack_from(body, 0))
    at = _after_text(body, 8)
    (count,) = _UINT.unpack_from(body, at)
    at += 4
    objects = []
    for _ in range(count):
        item, at = _object(body, at)
        objects.append(item)
    return _Array(_Header(stamp), objects)


def _after_text(body: memoryview, at: int) -> int:
    """Where the four-byte field after a string begins."""
    (length,) = _UINT.unpack_from(body, at)
    return at + 4 + length + 3 & ~3


def _after_polygon(body: memoryview, at: int) -> int:
    """Where the field after a polygon begins."""
    at = at + 3 & ~3
    (count,) = _UINT.unpack_from(body, at)
    return at + 4 + POINT32_BYTES * count


def _object(body: memoryview, at: int) -> tuple[_Object, int]:
    """One object, and where the next one begins."""
    at = _after_text(body, (at + 3 & ~3) + _TIME.size)
    (identity,) = _UINT.unpack_from(body, at)
    at = at + 6 + 7 & ~7  # the id, two flags, padding
    px, py, pz, qx, qy, qz, qw, vx, vy, vz, *_ = _MOTION.unpack_from(body, at)
    at = _after_polygon(body, at + _MOTION.size)
    kind = body[at : at + 1].tobytes()
    at = at + 1 + 3 & ~3
    (count,) = _UINT.unpack_from(body, at)
    if count >= len(_SIZES) or not kind:
        raise ValueError(f"a shape has {count} dimensions")
    at += 4
    if count:
        at = at + 7 & ~7
    dimensions = _SIZES[count].unpack_from(body, at)
    at = _after_polygon(body, at + 8 * count)
    classification, _, age_at = body[at], body[at + 1], at + 2 + 3 & ~3
    _UINT.unpack_from(body, age_at)  # it must be there
    item = _Object(
        identity,
        _Pose(_Vector(px, py, pz), _Quaternion(qx, qy, qz, qw)),
        _Twist(_Vector(vx, vy, vz)),
        _Shape(kind[0], dimensions),
        classification,
    )
    return item, age_at + 4
