"""Recordings of other recorders: sqlite3 with and without its metadata, ROS 1."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from carla_msgs.msg import CarlaEgoVehicleControl
from rclpy.serialization import serialize_message
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import Float32

from wm_dynamics.errors import UserError
from wm_perception.messages import MessageError, rgb_image
from wm_perception.topics import topic
from wm_training.bag_sources import known_types
from wm_training.recording import BagReader

SPEED, CONTROL = topic("speedometer").name(), topic("vehicle_control_cmd").name()
ODOMETRY_BYTES = 16 + 4 + 344 + 336  # header, child frame, pose and twist with covariance
SHARED_BAGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "bags"


def write_db3(file: Path, count: int) -> None:
    """As a recorder of ROS 2 Humble leaves it when it is killed: no definitions, no metadata."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT)")
        db.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, "
            "timestamp INTEGER, data BLOB)"
        )
        db.execute("INSERT INTO topics VALUES (1, ?, 'std_msgs/msg/Float32')", [SPEED])
        db.execute(
            "INSERT INTO topics VALUES (2, ?, 'carla_msgs/msg/CarlaEgoVehicleControl')", [CONTROL]
        )
        for k in range(count):
            speed = serialize_message(Float32(data=float(k)))
            control = serialize_message(CarlaEgoVehicleControl(throttle=0.5, steer=-0.25))
            db.execute("INSERT INTO messages VALUES (NULL, 1, ?, ?)", [k * 1000, speed])
            db.execute("INSERT INTO messages VALUES (NULL, 2, ?, ?)", [k * 1000 + 1, control])


@pytest.mark.parametrize("as_file", [True, False])
def test_sqlite_without_metadata_and_definitions(tmp_path, as_file):
    file = tmp_path / "bag" / "bag_0.db3"
    write_db3(file, 20)
    reader = BagReader(file if as_file else file.parent)
    messages = [(name, message) for name, _, _, message in reader]
    assert [m.data for name, m in messages if name == SPEED] == [float(k) for k in range(20)]
    controls = [m for name, m in messages if name == CONTROL]
    assert len(controls) == 20
    assert controls[0].steer == pytest.approx(-0.25)
    assert reader.complete


def test_truncated_sqlite_gives_what_is_left(tmp_path):
    file = tmp_path / "bag.db3"
    write_db3(file, 2000)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    reader = BagReader(file)
    assert 0 <= len(list(reader)) < 4000
    assert not reader.complete
    assert "cut off" in reader.report()


def test_split_sqlite_is_one_recording(tmp_path):
    for number in (0, 1, 2):
        write_db3(tmp_path / "bag" / f"bag_{number}.db3", 3)
    assert len(list(BagReader(tmp_path / "bag"))) == 18


def write_ros1(file: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    odometry = "nav_msgs/msg/Odometry"
    with Writer1(file) as writer:
        speed = writer.add_connection(SPEED, "std_msgs/msg/Float32", typestore=store)
        pose = writer.add_connection(topic("odometry").name(), odometry, typestore=store)
        types = store.types
        for k in range(5):
            stamp = types["builtin_interfaces/msg/Time"](k, 0)
            header = types["std_msgs/msg/Header"](k, stamp, "map")
            message = known_types().types["std_msgs/msg/Float32"](float(k))
            writer.write(speed, k * 10**9, store.serialize_ros1(message, "std_msgs/msg/Float32"))
            empty = store.deserialize_ros1(bytes(ODOMETRY_BYTES), odometry)
            filled = types[odometry](header, "hero", empty.pose, empty.twist)
            writer.write(pose, k * 10**9, store.serialize_ros1(filled, odometry))


def test_ros1_bag(tmp_path):
    write_ros1(tmp_path / "drive.bag")
    reader = BagReader(tmp_path / "drive.bag")
    messages = list(reader)
    assert len(messages) == 10
    poses = [message for name, *_, message in messages if name == topic("odometry").name()]
    assert [p.header.stamp.sec for p in poses] == [0, 1, 2, 3, 4]
    assert poses[0].header.frame_id == "map"
    assert not reader.problems


def test_a_cut_ros1_bag_is_refused_with_a_reason(tmp_path):
    write_ros1(tmp_path / "drive.bag")
    data = (tmp_path / "drive.bag").read_bytes()
    (tmp_path / "drive.bag").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="not a readable recording"):
        list(BagReader(tmp_path / "drive.bag"))


def write_compressed(path: Path, mode: CompressionMode, plugin: StoragePlugin) -> Path:
    store = get_typestore(Stores.ROS2_KILTED)
    compressed = Writer2(path, version=9, storage_plugin=plugin)
    compressed.set_compression(mode, CompressionFormat.ZSTD)
    with compressed as writer:
        connection = writer.add_connection("/x", "std_msgs/msg/Float32", typestore=store)
        message = store.types["std_msgs/msg/Float32"](1.0)
        for number in range(300):
            writer.write(connection, number, store.serialize_cdr(message, "std_msgs/msg/Float32"))
    return next(file for file in path.iterdir() if file.suffix != ".yaml")


@pytest.mark.parametrize("kind", ["ros1", "sqlite3-file", "sqlite3-message", "mcap-message"])
def test_damage_is_refused_or_costs_what_follows_never_a_crash(tmp_path, kind):
    if kind == "ros1":
        file = path = tmp_path / "drive.bag"
        write_ros1(path)
    else:
        path = tmp_path / "bag"
        plugin, mode = kind.split("-")
        file = write_compressed(path, CompressionMode[mode.upper()], StoragePlugin[plugin.upper()])
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    assert len(list(BagReader(path))) >= 10
    for number in range(20):
        data = bytearray(whole)
        for position in rng.integers(0, len(data), 4):
            data[position] = int(rng.integers(256))
        file.write_bytes(data[: rng.integers(1, len(data))] if number % 4 == 0 else data)
        with contextlib.suppress(UserError):
            reader = BagReader(path)
            assert len(list(reader)) <= 300


@pytest.mark.skipif(not SHARED_BAGS.is_dir(), reason="needs ../shared/data/bags")
@pytest.mark.parametrize("name", ["test_bag_mcap", "test_bag_sqlite3"])
def test_malformed_images_are_rejected_one_by_one(name):
    reader = BagReader(SHARED_BAGS / name)
    refused = kept = 0
    for _, type_name, _, message in reader:
        if type_name == "sensor_msgs/msg/Image":
            with pytest.raises(MessageError, match="bytes, expected"):
                rgb_image(message)
            refused += 1
        else:
            kept += 1
    assert (refused, kept) == (2, 186)
