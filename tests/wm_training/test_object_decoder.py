"""The quick decoder of objects says what the general one says."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from derived_object_msgs.msg import Object, ObjectArray
from geometry_msgs.msg import Point32
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from wm_perception import messages
from wm_perception.node_tools import header
from wm_training.bag_sources import known_types
from wm_training.object_decoder import OBJECT_ARRAY, decode_objects, fits


def array(rng: np.random.Generator, count: int) -> ObjectArray:
    """Objects with texts, outlines and shapes of different lengths."""
    items = []
    for number in range(count):
        item = Object(header=header(number, "f" * int(rng.integers(0, 9))), id=1000 + number)
        item.classification = int(rng.integers(0, 12))
        item.classification_age = number
        for part in (item.pose.position, item.twist.linear, item.accel.linear):
            part.x, part.y, part.z = rng.normal(size=3)
        yaw = rng.uniform(-3, 3)
        item.pose.orientation.z, item.pose.orientation.w = np.sin(yaw / 2), np.cos(yaw / 2)
        item.polygon.points = [Point32(x=1.0)] * int(rng.integers(0, 4))
        item.shape.type = 1
        item.shape.dimensions = rng.uniform(1, 5, int(rng.integers(2, 4))).tolist()
        item.shape.polygon.points = [Point32(y=2.0)] * int(rng.integers(0, 3))
        items.append(item)
    return ObjectArray(header=header(1_234_567_890_123, "map"), objects=items)


def test_both_decoders_agree():
    rng = np.random.default_rng(0)
    for count in (0, 1, 7, 30):
        raw = bytes(serialize_message(array(rng, count)))
        quick, general = decode_objects(raw), known_types().deserialize_cdr(raw, OBJECT_ARRAY)
        assert messages.stamp_ns(quick.header.stamp) == messages.stamp_ns(general.header.stamp)
        for a, b in zip(
            messages.objects(quick).columns(), messages.objects(general).columns(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        assert messages.find_self(quick, 1003, 0.0, 0.0) == (3 if count > 3 else None)


def test_what_is_cut_off_is_refused_wherever_it_ends():
    raw = bytes(serialize_message(array(np.random.default_rng(1), 2)))
    for length in range(len(raw) - 3):  # a serialised message may end with padding
        with pytest.raises((struct.error, ValueError, IndexError)):
            decode_objects(raw[:length])


def test_garbage_is_refused_or_decoded_but_never_worse():
    rng = np.random.default_rng(2)
    raw = bytes(serialize_message(array(rng, 3)))
    for _ in range(500):
        bad = bytearray(raw)
        for position in rng.integers(2, len(raw), 4):
            bad[position] = int(rng.integers(256))
        try:
            decode_objects(bytes(bad))
        except (struct.error, ValueError, IndexError):
            continue


def test_only_the_known_definition_fits():
    known = known_types()
    assert fits(known, known)
    assert not fits(get_typestore(Stores.ROS2_KILTED), known)
    other = get_typestore(Stores.EMPTY)
    other.register(get_types_from_msg("uint32 id", "derived_object_msgs/msg/Object"))
    assert not fits(other, known)
