"""Bags that were closed, torn, damaged or never were bags."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import Float32

from wm_dynamics.errors import UserError
from wm_msgs.msg import Latent
from wm_perception.topics import topic
from wm_training.bag_writer import BagWriter
from wm_training.recording import BagReader, repair

SPEED = topic("speedometer").name()


def write_speeds(path: Path, count: int, close: bool = True) -> BagWriter:
    writer = BagWriter(path)
    writer.add_topic(SPEED, "std_msgs/msg/Float32")
    for k in range(count):
        writer.write(SPEED, k * 1_000_000, serialize_message(Float32(data=float(k))))
    if close:
        writer.close()
    return writer


def mcap(path: Path) -> Path:
    return path / f"{path.name}.mcap"


def test_round_trip_and_standard_readers_agree(tmp_path):
    write_speeds(tmp_path / "bag", 100)
    reader = BagReader(tmp_path / "bag")
    values = [(name, kind, stamp, message.data) for name, kind, stamp, message in reader]
    expected = (SPEED, "std_msgs/msg/Float32")
    assert values == [(*expected, k * 1_000_000, float(k)) for k in range(100)]
    assert reader.complete
    assert reader.report().endswith("100 messages (complete)")
    with AnyReader([tmp_path / "bag"]) as other:
        assert other.message_count == 100


def test_a_killed_recording_gives_everything_up_to_the_last_flush(tmp_path):
    writer = write_speeds(tmp_path / "bag", 50, close=False)
    writer.flush()
    assert not (tmp_path / "bag" / "metadata.yaml").exists()
    reader = BagReader(tmp_path / "bag")
    assert len(list(reader)) == 50
    assert not reader.complete
    assert "cut off" in reader.report()


@pytest.mark.parametrize("lost", [1, 40, 4000])
def test_a_truncated_file_gives_its_whole_chunks(tmp_path, lost):
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(SPEED, "std_msgs/msg/Float32")
    for k in range(300):
        writer.write(SPEED, k, serialize_message(Float32(data=float(k))))
        if k % 100 == 99:
            writer.flush()
    writer.close()
    whole = mcap(tmp_path / "bag").read_bytes()
    mcap(tmp_path / "bag").write_bytes(whole[:-lost])
    (tmp_path / "bag" / "metadata.yaml").unlink()
    reader = BagReader(tmp_path / "bag")
    got = [message.data for *_, message in reader]
    assert got == [float(k) for k in range(len(got))]
    assert len(got) in (200, 300)


def test_garbage_in_the_middle_costs_what_it_hit(tmp_path):
    write_speeds(tmp_path / "bag", 100)
    data = bytearray(mcap(tmp_path / "bag").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = b"\xff" * 200
    mcap(tmp_path / "bag").write_bytes(data)
    assert len(list(BagReader(tmp_path / "bag"))) < 100


def test_repair_makes_a_whole_bag_of_a_torn_one(tmp_path):
    writer = write_speeds(tmp_path / "torn", 20, close=False)
    writer.flush()
    assert "20 messages" in repair(tmp_path / "torn", tmp_path / "whole")
    assert BagReader(tmp_path / "whole").raw is not None
    with AnyReader([tmp_path / "whole"]) as other:
        assert other.message_count == 20
    with pytest.raises(UserError, match="exists already"):
        repair(tmp_path / "torn", tmp_path / "whole")


def test_own_and_latched_topics(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic("/wm/latent", "wm_msgs/msg/Latent")
    writer.add_topic("/carla/map", "std_msgs/msg/String", latched=True)
    writer.write("/wm/latent", 5, serialize_message(Latent(model_hash="abc", deter=[1.0, 2.0])))
    writer.close()
    ((name, _, stamp, message),) = list(BagReader(tmp_path / "bag"))
    assert (name, stamp, message.model_hash) == ("/wm/latent", 5, "abc")
    assert message.deter.tolist() == [1.0, 2.0]
    with AnyReader([tmp_path / "bag"]) as other:
        latched = next(c for c in other.connections if c.topic == "/carla/map")
        assert latched.ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"


def test_messages_come_in_the_order_of_their_stamps(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(SPEED, "std_msgs/msg/Float32")
    for stamp in (3, 1, 2, 0, 5, 4):
        writer.write(SPEED, stamp, serialize_message(Float32(data=float(stamp))))
    writer.close()
    assert [message.data for *_, message in BagReader(tmp_path / "bag")] == [0, 1, 2, 3, 4, 5]


def test_messages_that_were_compressed_one_by_one(tmp_path):
    store = get_typestore(Stores.ROS2_KILTED)
    plain = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
    plain.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with plain as writer:
        connection = writer.add_connection("/speed", "std_msgs/msg/Float32", typestore=store)
        for number in range(5):
            writer.write(connection, number, bytes(serialize_message(Float32(data=float(number)))))
    reader = BagReader(tmp_path / "bag")
    assert [message.data for _, _, _, message in reader] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_torn_message_is_counted(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(SPEED, "std_msgs/msg/Float32")
    writer.write(SPEED, 0, serialize_message(Float32(data=1.0))[:5])
    writer.write(SPEED, 1, serialize_message(Float32(data=2.0)))
    writer.close()
    reader = BagReader(tmp_path / "bag")
    assert [message.data for *_, message in reader] == [2.0]
    assert reader.problems == {"undecodable": 1}
    assert reader.refused == {(SPEED, "undecodable"): 1}


def test_what_is_no_recording_is_said(tmp_path):
    with pytest.raises(UserError, match="no recording at"):
        BagReader(tmp_path / "nothing")
    with pytest.raises(UserError, match="is no recording"):
        BagReader(tmp_path)
    (tmp_path / "text.mcap").write_text("hello")
    reader = BagReader(tmp_path / "text.mcap")
    assert list(reader) == []
    assert not reader.complete
    with pytest.raises(UserError, match="nothing to repair"):
        repair(tmp_path / "text.mcap", tmp_path / "out")
    with pytest.raises(UserError, match="type no_such/msg/Thing is unknown"):
        BagWriter(tmp_path / "bag").add_topic("/x", "no_such/msg/Thing")
