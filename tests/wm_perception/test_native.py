"""Sensor messages of both interfaces, byte by byte as each interface lays them out."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import Image, Imu, PointCloud2, PointField

from wm_perception.messages import MessageError, to_array
from wm_perception.native import cloud, depth_image, imu_sample, points, semantic_tags
from wm_perception.semantics import SemanticTag

F4, U4 = PointField.FLOAT32, PointField.UINT32


def picture(bgra: list[list[list[int]]]) -> Image:
    pixels = np.array(bgra, np.uint8)
    height, width = pixels.shape[:2]
    return Image(
        height=height, width=width, step=4 * width, encoding="bgra8", data=to_array(pixels, "B")
    )


def message_of(rows: np.ndarray, fields: list[tuple[str, int, int]], step: int) -> PointCloud2:
    return PointCloud2(
        height=1,
        width=len(rows),
        fields=[PointField(name=n, offset=o, datatype=d, count=1) for n, o, d in fields],
        point_step=step,
        row_step=step * len(rows),
        data=to_array(rows, "B"),
    )


# ------------------------------------------------------------------ depth


def test_encoded_depth_is_decoded():
    # blue is the highest byte: 1 + 256 * 2 + 65536 * 3 of 2^24 - 1, times 1000 m
    metres = depth_image(picture([[[3, 2, 1, 255], [255, 255, 255, 255], [0, 0, 0, 255]]]))
    assert metres.dtype == np.float32
    np.testing.assert_allclose(metres, [[197121 / 16777215 * 1000, 1000.0, 0.0]], rtol=1e-6)


def test_depth_in_metres_is_taken_as_it_is():
    values = np.array([[1.5, 80.0], [0.1, 1000.0]], np.float32)
    message = Image(height=2, width=2, step=8, encoding="32FC1", data=to_array(values, "B"))
    np.testing.assert_array_equal(depth_image(message), values)
    message.data = message.data[:-1]
    with pytest.raises(MessageError, match="depth image of 2 x 2 with step 8 has 15 bytes"):
        depth_image(message)


def test_what_is_no_depth_picture_is_refused():
    with pytest.raises(MessageError, match="not a colour image"):
        depth_image(Image(height=1, width=1, step=2, encoding="mono16"))


# ------------------------------------------------------------------ semantic tags


def test_tags_of_both_interfaces():
    road, car = (128, 64, 128), (142, 0, 0)  # CityScapes, as blue, green, red
    bridge = picture([[[*road, 255], [*car, 255]]])
    assert semantic_tags(bridge, native=False).tolist() == [[SemanticTag.ROAD, SemanticTag.VEHICLE]]
    native = picture([[[0, 0, 7, 255], [9, 9, 10, 255]]])
    assert semantic_tags(native, native=True).tolist() == [[7, 10]]


def test_a_colour_outside_of_the_palette_is_refused():
    with pytest.raises(MessageError, match="colour .* is not in the CityScapes palette"):
        semantic_tags(picture([[[1, 2, 3, 255]]]), native=False)


# ------------------------------------------------------------------ imu


def imu(accel, gyro, yaw: float) -> Imu:
    message = Imu()
    acceleration, rates = message.linear_acceleration, message.angular_velocity
    acceleration.x, acceleration.y, acceleration.z = accel
    rates.x, rates.y, rates.z = gyro
    message.orientation.z, message.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return message


def test_a_native_left_turn_is_a_left_turn():
    # Turning left: CARLA's y axis points right, so the pull to the left is negative there, and its
    # rate about z is clockwise positive.
    sample = imu_sample(imu((0.5, -3.0, 9.81), (0.1, 0.2, -0.4), 0.0), native=True)
    np.testing.assert_allclose(sample.accel, [0.5, 3.0, 9.81])
    np.testing.assert_allclose(sample.gyro, [-0.1, 0.2, 0.4])


@pytest.mark.parametrize("heading", [-3.0, -1.0, 0.0, 0.5, 2.0, 3.1])
def test_native_heading_is_45_degrees_off(heading):
    compass = math.pi / 2 - heading  # CARLA: clockwise from north, which is +y of the map
    published = imu((0.0, 0.0, 9.81), (0.0, 0.0, 0.0), math.pi / 4 - compass)
    assert imu_sample(published, native=True).yaw == pytest.approx(heading)


def test_the_bridges_imu_is_taken_as_it_is():
    sample = imu_sample(imu((1.0, 2.0, 9.8), (0.1, 0.2, 0.3), 1.2), native=False)
    assert sample.accel.tolist() == [1.0, 2.0, 9.8]
    assert sample.gyro.tolist() == [0.1, 0.2, 0.3]
    assert sample.yaw == pytest.approx(1.2)


def test_a_bad_imu_is_refused():
    with pytest.raises(MessageError, match="imu has values that are not finite"):
        imu_sample(imu((math.nan, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0), native=True)
    message = imu((0.0, 0.0, 9.8), (0.0, 0.0, 0.0), 0.0)
    message.orientation.w = 0.0
    with pytest.raises(MessageError, match="not a unit quaternion"):
        imu_sample(message, native=False)


# ------------------------------------------------------------------ clouds

RADAR_BRIDGE = [
    *((name, 4 * k, F4) for k, name in enumerate(("x", "y", "z", "Range", "Velocity"))),
    ("AzimuthAngle", 20, F4),
    ("ElevationAngle", 28, F4),
]
RADAR_NATIVE = [
    (name, 4 * k, F4)
    for k, name in enumerate(("x", "y", "z", "velocity", "azimuth", "altitude", "depth"))
]


def test_radar_of_both_layouts_is_the_same_array():
    bridge = np.array([[1, 2, 3, 40, -5, 0.6, 99, 0.7]], np.float32)  # 99: the hole
    native = np.array([[1, 2, 3, -5, 0.6, 0.7, 40]], np.float32)
    names = ("x", "y", "z", "Range", "Velocity", "AzimuthAngle", "ElevationAngle")
    expected = np.array([[1, 2, 3, 40, -5, 0.6, 0.7]], np.float32)
    found = points(message_of(bridge, RADAR_BRIDGE, 32), names)
    np.testing.assert_array_equal(found, expected)
    found = points(message_of(native, RADAR_NATIVE, 28), names)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "names",
    [("CosAngle", "ObjIdx", "ObjTag"), ("cos_inc_angle", "object_idx", "object_tag")],
)
def test_semantic_lidar_by_either_names(names):
    layout = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("c", "<f4"), ("i", "<u4"), ("t", "<u4")]
    rows = np.array([(1, 2, 3, 0.5, 4000000000, 10)], layout)
    fields = [("x", 0, F4), ("y", 4, F4), ("z", 8, F4)]
    fields += [(names[0], 12, F4), (names[1], 16, U4), (names[2], 20, U4)]
    found = cloud(message_of(rows, fields, 24))
    assert found.dtype.names == ("x", "y", "z", "CosAngle", "ObjIdx", "ObjTag")
    assert found["ObjIdx"].tolist() == [4000000000]
    assert found["ObjTag"].tolist() == [10]


def test_rows_may_be_padded_and_numbers_big_endian():
    rows = np.array([[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]], ">f4")
    message = message_of(rows, [("x", 0, F4)], 4)
    message.height, message.width, message.row_step, message.is_bigendian = 2, 2, 12, True
    assert cloud(message)["x"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_an_empty_cloud_has_no_points():
    empty = message_of(np.zeros(0, np.float32), [("x", 0, F4), ("y", 4, F4), ("z", 8, F4)], 12)
    assert points(empty).shape == (0, 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": to_array(np.zeros(5, np.uint8), "B")}, "has 5 bytes"),
        ({"width": 9}, "9 x 1 points"),
        ({"fields": [SimpleNamespace(name="x", offset=2, datatype=7, count=1)]}, "ends outside"),
        ({"fields": [SimpleNamespace(name="x", offset=0, datatype=99, count=1)]}, "datatype 99"),
        ({"fields": [SimpleNamespace(name="x", offset=0, datatype=7, count=3)]}, "x 3"),
    ],
)
def test_a_cloud_that_lies_about_itself_is_refused(change, reason):
    message = message_of(np.zeros((2, 1), np.float32), [("x", 0, F4)], 4)
    values = {name: getattr(message, name) for name in message.get_fields_and_field_types()}
    with pytest.raises(MessageError, match=reason):
        cloud(SimpleNamespace(**values | change))


def test_a_missing_field_is_named():
    with pytest.raises(MessageError, match="no field 'y'"):
        points(message_of(np.zeros((2, 1), np.float32), [("x", 0, F4)], 4))
