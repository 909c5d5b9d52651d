"""What faults do to the content of a ROS message, whatever its type.

Messages are walked by the field types that they declare, so every type that has numbers, stamps or
sequences can be hit without code of its own. Two kinds of bytes are numbers in disguise and are
read as what they say they are: the pixels of an image and the points of a cloud. All functions
change the message they are given; callers copy first.
"""

from __future__ import annotations

import importlib
import re
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TIME, HEADER = "builtin_interfaces/Time", "std_msgs/Header"
NANOSECONDS = 1_000_000_000
# About a measurement, not part of it.
META_FIELDS = re.compile("header|.*covariance")
ALPHA_ENCODINGS = ("bgra8", "rgba8")
POINT_TYPES = {7: "f4", 8: "f8"}  # sensor_msgs/PointField: FLOAT32, FLOAT64
_SEQUENCE = re.compile(r"sequence<(?P<item>[\w/]+)(?:, \d+)?>")
_ARRAY = re.compile(r"(?P<item>[\w/]+)\[\d+\]")
_FIELDS: dict[type, tuple[tuple[str, str, bool], ...]] = {}
_NUMBERS = {"float": np.float32, "double": np.float64, "uint8": np.uint8}

# Takes an array of float32, float64 or uint8 and returns one of the same shape.
Change = Callable[[np.ndarray], np.ndarray]


def fields(cls: type) -> tuple[tuple[str, str, bool], ...]:
    """(name, type of the field or of its items, whether it holds several) of a message class."""
    if cls not in _FIELDS:
        found = []
        for name, text in cls.get_fields_and_field_types().items():  # type: ignore[attr-defined]
            several = _SEQUENCE.fullmatch(text) or _ARRAY.fullmatch(text)
            found.append((name, several["item"] if several else text, bool(several)))
        _FIELDS[cls] = tuple(found)
    return _FIELDS[cls]


def message_class(name: str) -> type:
    """The class of ``package/Type``, as field types are written."""
    package, _, kind = name.partition("/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


def _is_quaternion(cls: type) -> bool:
    return tuple(name for name, _, _ in fields(cls)) == ("x", "y", "z", "w")


# Stamps.


def stamps(message: Any) -> list[Any]:
    """The builtin_interfaces/Time parts: its own, and those of its parts that are not empty."""
    found: dict[int, Any] = {}  # by identity: parts of a message may share one header
    _collect(message, found, own=True)
    return list(found.values())


def _collect(message: Any, found: dict[int, Any], own: bool) -> None:
    for name, kind, several in fields(type(message)):
        if "/" not in kind:
            continue
        value = getattr(message, name)
        for part in value if several else (value,):
            time = part if kind == TIME else part.stamp if kind == HEADER else None
            if time is None:
                _collect(part, found, own=False)
            elif own or time.sec or time.nanosec:
                found[id(time)] = time


def own_stamp_ns(message: Any) -> int | None:
    """The stamp of the message itself in ns; None when it has no such field."""
    for name, kind, several in fields(type(message)):
        if kind in (TIME, HEADER) and not several:
            part = getattr(message, name)
            time = part.stamp if kind == HEADER else part
            return time.sec * NANOSECONDS + time.nanosec
    return None


def shift_stamps(message: Any, seconds: float) -> None:
    """Add to all stamps. None becomes negative, because ROS time cannot be."""
    offset = round(seconds * NANOSECONDS)
    for time in stamps(message):
        _set_time(time, max(0, time.sec * NANOSECONDS + time.nanosec + offset))


def set_stamps(message: Any, stamp_ns: int) -> None:
    """Give all stamps this value."""
    for time in stamps(message):
        _set_time(time, stamp_ns)


def _set_time(time: Any, stamp_ns: int) -> None:
    time.sec, time.nanosec = divmod(stamp_ns, NANOSECONDS)


# Numbers.


def change_numbers(message: Any, path: Sequence[str], change: Change) -> None:
    """Apply ``change`` to the floating-point numbers, pixels and points under ``path``.

    Headers and covariances are left alone unless the path leads there. A rotation that has been
    changed by other than a NaN is normalised, so that it stays one.

    Args:
        message: is changed.
        path: names of fields, outermost first; lists on the way mean each of their items.
        change: what to do with an array of numbers.
    """
    cls = type(message)
    if not path and _is_quaternion(cls):
        _change_rotation(message, change)
        return
    for name, kind, several in fields(cls):
        if name != path[0] if path else META_FIELDS.fullmatch(name):
            continue
        value = getattr(message, name)
        if "/" in kind:
            for part in value if several else (value,):
                change_numbers(part, path[1:], change)
        elif kind in _NUMBERS and several:
            setattr(message, name, _changed_array(message, name, value, change))
        elif kind in ("float", "double"):
            number = np.array([value], _NUMBERS[kind])
            setattr(message, name, float(change(number)[0]))


def _change_rotation(quaternion: Any, change: Change) -> None:
    old = np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w])
    new = change(old)
    norm = float(np.sqrt((new**2).sum()))
    if norm > 0.0:  # true for neither NaN nor a rotation scaled by zero
        new = new / norm
    elif not np.isnan(norm):
        new = old
    quaternion.x, quaternion.y, quaternion.z, quaternion.w = map(float, new)


def _changed_array(message: Any, name: str, value: Any, change: Change) -> Any:
    """What a field of numbers becomes, in the container that it had."""
    if name == "data" and hasattr(message, "encoding"):
        return _changed_pixels(message, change)
    if name == "data" and hasattr(message, "point_step"):
        return _changed_points(message, change)
    if isinstance(value, np.ndarray):
        return change(value).astype(value.dtype)
    dtype = np.dtype({"B": np.uint8, "f": np.float32, "d": np.float64}[value.typecode])
    return _container(change(np.frombuffer(value, dtype)).astype(dtype), value.typecode)


def _container(values: np.ndarray, typecode: str) -> array:
    result = array(typecode)
    result.frombytes(np.ascontiguousarray(values).tobytes())
    return result


def _changed_pixels(image: Any, change: Change) -> array:
    """Depth in metres as numbers, other pixels as bytes; an alpha channel says nothing."""
    data = np.frombuffer(image.data, np.uint8).copy()
    if image.encoding == "32FC1":
        whole = data[: data.size // 4 * 4].view(np.float32)
        whole[:] = change(whole)
    elif image.encoding in ALPHA_ENCODINGS:
        colours = data[: data.size // 4 * 4].reshape(-1, 4)[:, :3]
        colours[:] = change(colours)
    else:
        data = change(data)
    return _container(data, "B")


def _changed_points(cloud: Any, change: Change) -> array:
    """Every floating-point field of every point."""
    data = np.frombuffer(cloud.data, np.uint8).copy()
    if cloud.point_step == 0:
        return _container(data, "B")
    points = data[: data.size // cloud.point_step * cloud.point_step].reshape(-1, cloud.point_step)
    order = ">" if cloud.is_bigendian else "<"
    for field in cloud.fields:
        if field.datatype not in POINT_TYPES:
            continue
        dtype = np.dtype(order + POINT_TYPES[field.datatype])
        width = dtype.itemsize * field.count
        column = points[:, field.offset : field.offset + width]
        values = np.ascontiguousarray(column).view(dtype)
        column[:] = change(values).astype(dtype).view(np.uint8).reshape(column.shape)
    return _container(data, "B")


def spoil(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """NaN in place of a share of the numbers, random bytes in place of bytes."""
    hit = rng.random(values.shape) < share
    if values.dtype == np.uint8:
        return np.where(hit, rng.integers(0, 256, values.shape, np.uint8), values)
    return np.where(hit, np.nan, values)


def add_noise(values: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise; pixels stay within their range."""
    return _as(values.dtype, values + rng.normal(0.0, sigma, values.shape))


def scale(values: np.ndarray, factor: float) -> np.ndarray:
    """Times a factor; pixels stay within their range."""
    return _as(values.dtype, values * factor)


def _as(dtype: np.dtype, values: np.ndarray) -> np.ndarray:
    if dtype == np.uint8:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    with np.errstate(over="ignore"):
        return values.astype(dtype)


# Sizes.


def sized_field(cls: type, path: tuple[str, ...] = ()) -> str:
    """The field that :func:`cut` shortens; empty when there is none.

    Without a path it is ``data``, else the first list, else the last text of a message that has no
    header (the OpenDRIVE map).
    """
    blank = cls()
    sized = [
        (name, several)
        for name, _, several in fields(cls)
        if isinstance(getattr(blank, name), (list, array, str))
    ]
    names = [name for name, _ in sized]
    if path:
        return path[0] if len(path) == 1 and path[0] in names else ""
    lists = [name for name, several in sized if several]
    texts = [] if HEADER in {kind for _, kind, _ in fields(cls)} else names
    return next(iter([n for n in names if n == "data"] + lists + texts[-1:]), "")


def cut(message: Any, path: Sequence[str], share: float) -> None:
    """Keep the first ``share`` of the message's content; at least its last item is lost."""
    name = sized_field(type(message), tuple(path))
    value = getattr(message, name)
    setattr(message, name, value[: min(int(len(value) * share), max(0, len(value) - 1))])


WRONG_ENCODINGS = ("32FC1", "no_such_encoding")


def mislabel(image: Any, which: int) -> None:
    """Say that the pixels are encoded otherwise than they are; the bytes stay."""
    image.encoding = WRONG_ENCODINGS[which]


# What a type of message has.


def has_encoding(cls: type) -> bool:
    """Whether it is an image."""
    return any(name == "encoding" and kind == "string" for name, kind, _ in fields(cls))


def has_numbers(cls: type, path: tuple[str, ...] = ()) -> bool:
    """Whether :func:`change_numbers` finds anything under a path."""
    for name, kind, several in fields(cls):
        if name != path[0] if path else META_FIELDS.fullmatch(name):
            continue
        if "/" in kind and has_numbers(message_class(kind), path[1:]):
            return True
        if kind in ("float", "double") or (kind in _NUMBERS and several):
            return len(path) <= 1
    return False


def has_stamps(cls: type) -> bool:
    """Whether there is a stamp anywhere."""
    return any(
        kind in (TIME, HEADER) or ("/" in kind and has_stamps(message_class(kind)))
        for _, kind, _ in fields(cls)
    )
