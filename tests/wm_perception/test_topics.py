"""The topic table against carla-ros-bridge's interface."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from wm_perception.topics import FRAME_KEYS, RECORDED_KEYS, TOPICS, key_of, topic


def test_keys_and_names_are_unique_and_types_exist():
    assert len({t.key for t in TOPICS}) == len(TOPICS) == len({t.name() for t in TOPICS})
    for entry in TOPICS:
        assert entry.message_type().__name__ == entry.type_name.split("/")[-1]


def test_names_follow_the_role():
    assert topic("odometry").name("hero") == "/carla/hero/odometry"
    assert key_of("/carla/hero/odometry", "hero") == "odometry"
    assert key_of("/carla/hero/odometry") is None


def test_qos():
    assert topic("odometry").publisher_qos().reliability == ReliabilityPolicy.RELIABLE
    assert topic("image").subscriber_qos().reliability == ReliabilityPolicy.BEST_EFFORT
    assert topic("waypoints").subscriber_qos().durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert topic("vehicle_control_cmd").subscriber_qos().durability == DurabilityPolicy.VOLATILE


def test_odometry_is_subscribed_last():
    assert FRAME_KEYS[-1] == RECORDED_KEYS[-1] == "odometry"
