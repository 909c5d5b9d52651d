"""Each kind of fault changes exactly what it says of a message."""

from __future__ import annotations

import copy
import math
from array import array

import numpy as np
import pytest
from carla_msgs.msg import CarlaWorldInfo
from derived_object_msgs.msg import ObjectArray
from fault_messages import DT_NS, cloud, header, image, numbers, objects, odometry, through, time
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as RoutePath
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu, PointCloud2
from std_msgs.msg import Bool, Float32
from tf2_msgs.msg import TFMessage

from wm_perception.messages import stamp_ns
from wm_perception.sensor_topics import SENSOR_TOPICS, sensor_topics
from wm_perception.topics import TOPICS
from wm_sim.faults import FaultInjector, applies
from wm_sim.faults_spec import Fault, parse_fault


def test_nan_leaves_stamps_names_and_covariances():
    ((message,),) = through("odometry:nan", odometry, 1)
    pose, twist = message.pose.pose, message.twist.twist
    for value in (pose.position.x, pose.orientation.w, twist.linear.x, twist.angular.z):
        assert math.isnan(value)
    assert (message.header, message.child_frame_id) == (header(0), "ego_vehicle")
    assert message.pose.covariance[0] == 4.0


def test_a_field_confines_the_change():
    ((message,),) = through("odometry.twist.twist.linear.x:nan", odometry, 1)
    assert math.isnan(message.twist.twist.linear.x)
    message.twist.twist.linear.x = 5.0
    assert message == odometry(0)


def test_nan_reaches_into_lists():
    ((message,),) = through("objects:nan", objects, 1, key="objects")
    assert all(math.isnan(o.pose.position.x) for o in message.objects)
    assert all(math.isnan(v) for o in message.objects for v in o.shape.dimensions)
    assert [o.id for o in message.objects] == [0, 1, 2]


def test_nan_makes_garbage_of_pixels_and_keeps_their_number():
    ((message,),) = through("image:nan", image, 1, key="image")
    pixels = numbers(message).reshape(6, 8, 4)
    assert len(np.unique(pixels[..., :3])) > 50
    assert (pixels[..., 3] == 255).all()
    assert (message.height, message.step, message.encoding) == (6, 32, "bgra8")


def test_nan_in_a_share_of_depth_pixels():
    depth = Image(height=50, width=40, step=160, encoding="32FC1")
    depth.data = array("B", np.full((50, 40), 7.0, np.float32).tobytes())
    ((message,),) = through("depth:nan:0.1", lambda ns: depth, 1, key="depth")
    values = np.frombuffer(message.data, np.float32)
    assert 0.05 < np.isnan(values).mean() < 0.15
    assert (values[~np.isnan(values)] == 7.0).all()


def test_noise_and_nan_hit_points_but_not_their_tags():
    ((message,),) = through("lidar:nan", cloud, 1, key="lidar")
    points = numbers(message).view([("x", "<f4"), ("y", "<f4"), ("tag", "<u4")])
    assert np.isnan(points["x"]).all() and np.isnan(points["y"]).all()
    assert (points["tag"] == 7).all()
    ((message,),) = through("lidar:noise:0.5", cloud, 1, key="lidar")
    points = numbers(message).view([("x", "<f4"), ("y", "<f4"), ("tag", "<u4")])
    assert 0.0 < np.abs(points["x"] - 3.0).max() < 3.0
    assert (points["tag"] == 7).all()


def test_noise_has_the_deviation_it_says():
    out = through("odometry.pose.pose.position:noise:1", odometry, 1500)
    x = np.array([m.pose.pose.position.x for (m,) in out])
    assert abs(x.mean() - 1.0) < 0.1
    assert 0.94 < x.std() < 1.06
    assert all(m.twist.twist.linear.x == 5.0 for (m,) in out)


def test_noise_leaves_a_rotation_a_rotation():
    for (message,) in through("odometry:noise:0.3", odometry, 20):
        q = message.pose.pose.orientation
        assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1.0)
        assert (q.z, q.w) != (0.6, 0.8)


def test_noise_and_scale_keep_pixels_in_range():
    ((message,),) = through("image:noise:200", image, 1, key="image")
    pixels = numbers(message).reshape(6, 8, 4)[..., :3]
    assert {0, 255} <= set(pixels.ravel())  # clipped, not wrapped
    ((message,),) = through("image:scale:1.5", image, 1, key="image")
    assert set(numbers(message).reshape(6, 8, 4)[..., :3].ravel()) == {150}


def test_scale_multiplies_and_spares_rotations():
    ((message,),) = through("speed:scale:1.2", lambda ns: Float32(data=10.0), 1, key="speed")
    assert message.data == pytest.approx(12.0)
    ((message,),) = through("odometry:scale:0.8", odometry, 1)
    assert message.twist.twist.linear.x == 4.0
    assert message.pose.pose.orientation.z == pytest.approx(0.6)


def test_enormous_noise_becomes_infinite_not_an_error():
    ((message,),) = through("speed:noise:1e300", lambda ns: Float32(data=1.0), 1, key="speed")
    assert math.isinf(message.data)


def test_clock_jump_moves_every_stamp_once():
    ((message,),) = through("objects:clock_jump:2.5", lambda _: objects(10 * DT_NS), 1, "objects")
    assert stamp_ns(message.header.stamp) == 35 * DT_NS
    assert {stamp_ns(o.header.stamp) for o in message.objects} == {35 * DT_NS}
    ((message,),) = through("clock:clock_jump:-0.5", lambda _: Clock(clock=time(10**9)), 1, "clock")
    assert stamp_ns(message.clock) == 5 * DT_NS
    ((message,),) = through("clock:clock_jump:-5", lambda _: Clock(clock=time(10**9)), 1, "clock")
    assert stamp_ns(message.clock) == 0


def test_clock_jump_leaves_empty_stamps_empty():
    path = RoutePath(header=header(DT_NS), poses=[PoseStamped(), PoseStamped()])
    ((message,),) = through("waypoints:clock_jump:1", lambda _: path, 1, key="waypoints")
    assert stamp_ns(message.header.stamp) == 11 * DT_NS
    assert all(p == PoseStamped() for p in message.poses)


def test_wrong_size_cuts_the_content():
    ((message,),) = through("image:wrong_size", image, 1, key="image")
    assert (len(message.data), message.height, message.step) == (96, 6, 32)
    ((message,),) = through("lidar:wrong_size:0.9", cloud, 1, key="lidar")
    assert len(message.data) == 54
    path = RoutePath(poses=[PoseStamped()] * 4)
    ((message,),) = through("waypoints:wrong_size:0", lambda _: path, 1, key="waypoints")
    assert message.poses == []
    world = CarlaWorldInfo(map_name="Town01", opendrive="<OpenDRIVE/>")
    ((message,),) = through("world_info:wrong_size", lambda _: world, 1, key="world_info")
    assert (message.map_name, message.opendrive) == ("Town01", "<OpenD")


def test_wrong_encoding_renames_and_keeps_the_bytes():
    original = image(DT_NS)
    for text, name in (("image:wrong_encoding", "32FC1"), ("image:wrong_encoding:1", "no_such_")):
        ((message,),) = through(text, lambda _: copy.deepcopy(original), 1, key="image")
        assert message.encoding.startswith(name) and message.data == original.data
    assert applies(parse_fault("image:wrong_encoding"), Odometry) == "Odometry is no image"


def test_the_last_item_is_lost_at_least():
    ((message,),) = through(
        "waypoints:wrong_size:0.99", lambda _: RoutePath(poses=[PoseStamped()]), 1, key="waypoints"
    )
    assert message.poses == []


@pytest.mark.parametrize(
    "text",
    ["image:nan", "image:noise:5", "image:scale:2", "image:wrong_size", "image:clock_jump:1"],
)
def test_the_original_is_never_touched(text):
    original = image(DT_NS)
    before = copy.deepcopy(original)
    ((message,),) = through(text, lambda ns: original, 1, key="image")
    assert original == before
    assert message != before


@pytest.mark.parametrize(
    ("text", "cls", "reason"),
    [
        ("a:nan", Bool, "Bool has no floating-point numbers"),
        ("a:clock_jump:1", Float32, "Float32 has no stamp"),
        ("a:wrong_size", Odometry, "Odometry has no content of variable size"),
        ("a.pose.position:noise:1", Odometry, "no field 'pose.position' with floating-point"),
        ("a.header:noise:1", Odometry, "no field 'header' with floating-point"),
        ("a.pose:wrong_size", Odometry, "no field 'pose' with content of variable size"),
    ],
)
def test_faults_that_cannot_apply_are_known(text, cls, reason):
    assert reason in applies(parse_fault(text), cls)


@pytest.mark.parametrize(
    ("text", "cls"),
    [
        ("a:nan", Image),
        ("a:noise:1", PointCloud2),
        ("a.pose.pose.position.x:noise:1", Odometry),
        ("a.objects.pose:noise:1", ObjectArray),
        ("a.pose.covariance:nan", Odometry),
        ("a:scale:2", Imu),
        ("a:clock_jump:1", Clock),
        ("a:clock_jump:1", TFMessage),
        ("a:wrong_size", CarlaWorldInfo),
        ("a.map_name:wrong_size", CarlaWorldInfo),
        ("a:freeze", Bool),
    ],
)
def test_faults_that_can_apply_are_known(text, cls):
    assert applies(parse_fault(text), cls) == ""


KINDS_AT_WORK = [
    Fault("*", kind, value, probability)
    for kind, value, probability in (
        ("delay", 1, 0.5),
        ("freeze", 0, 0.5),
        ("nan", 0.5, 1.0),
        ("noise", 1e38, 1.0),
        ("scale", -1e38, 1.0),
        ("clock_jump", -1e9, 1.0),
        ("duplicate", 2, 1.0),
        ("wrong_size", 0.3, 1.0),
    )
]
SENSORS = [t for k in SENSOR_TOPICS for t in sensor_topics(k, "sensor").by_suffix.values()]


@pytest.mark.parametrize("entry", [*TOPICS, *SENSORS], ids=lambda entry: entry.key)
@pytest.mark.parametrize("fault", KINDS_AT_WORK, ids=lambda fault: fault.kind)
def test_whatever_becomes_of_a_message_can_be_sent(entry, fault):
    injector, sent = FaultInjector([fault]), 0
    for k in range(5):
        for message in injector.apply(entry.key, entry.message_type()(), k * DT_NS):
            serialize_message(message)
            sent += 1
    assert sent >= 1
