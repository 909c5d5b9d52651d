"""The recorder node: what it hears is in the bag, also when it is killed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float32, String

from wm_perception.topics import topic
from wm_training.recorder_node import RecorderConfig, chosen_topics
from wm_training.recording import BagReader

PATIENCE_S = 20.0
SPEED = topic("speedometer").name()


@pytest.fixture
def recorder(start_node) -> Callable[..., subprocess.Popen]:
    """Starts a recorder."""
    return lambda **values: start_node("-m", "wm_training.recorder_node", **values)


@pytest.fixture
def node(ros_domain) -> Iterator[rclpy.node.Node]:
    with rclpy.init(domain_id=ros_domain.id):
        result = rclpy.create_node("talker")
        yield result
        result.destroy_node()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def talk(node, count: int, period_s: float = 0.01):
    entry = topic("speedometer")
    speeds = node.create_publisher(Float32, SPEED, entry.publisher_qos())
    until(speeds.get_subscription_count)
    time.sleep(0.3)
    for k in range(count):
        speeds.publish(Float32(data=float(k)))
        time.sleep(period_s)


def test_topics_are_chosen_by_role():
    names = chosen_topics(RecorderConfig(output="x", role_name="hero"))
    assert "/carla/hero/odometry" in names
    assert "/carla/hero/vehicle_control_cmd" in names
    assert "/carla/hero/rgb_front/image" not in names
    assert {"/wm/latent", "/wm/imagined_rollouts", "/wm/safety_state"} <= set(names)
    with_images = chosen_topics(RecorderConfig(output="x", images=True, extra_topics=("/x",)))
    assert "/carla/ego_vehicle/rgb_front/image" in with_images
    assert with_images[-1] == "/x"
    assert chosen_topics(RecorderConfig(output="x", topics=("/only",))) == ["/only"]


@pytest.mark.ros
def test_a_recording_ended_by_an_interrupt_is_whole(node, recorder, tmp_path):
    latched = node.create_publisher(String, "/carla/map", topic("map").publisher_qos())
    latched.publish(String(data="<map/>"))
    process = recorder(output=tmp_path / "bag")
    talk(node, 100)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in output
    reader = BagReader(tmp_path / "bag")
    got = {name: [] for name in (SPEED, "/carla/map")}
    for name, _, _, message in reader:
        if name in got:  # it reports on itself, too
            got[name].append(message.data)
    assert got == {SPEED: [float(k) for k in range(100)], "/carla/map": ["<map/>"]}
    assert reader.complete


@pytest.mark.ros
def test_a_killed_recorder_leaves_a_readable_bag(node, recorder, tmp_path):
    process = recorder(output=tmp_path / "bag", flush_s=0.2)
    talk(node, 150)
    process.kill()
    process.wait(5)
    reader = BagReader(tmp_path / "bag")
    got = [message.data for name, _, _, message in reader if name == SPEED]
    assert len(got) >= 100
    assert got == [float(k) for k in range(len(got))]
    assert not reader.complete


@pytest.mark.ros
def test_other_topics_and_best_effort_publishers(node, recorder, tmp_path):
    best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    speeds = node.create_publisher(Float32, SPEED, best_effort)
    words = node.create_publisher(String, "/words", 10)
    process = recorder(output=tmp_path / "bag", topics=f"['{SPEED}','/words']")
    until(lambda: speeds.get_subscription_count() and words.get_subscription_count())
    time.sleep(0.3)
    for _ in range(20):
        speeds.publish(Float32(data=1.0))
        words.publish(String(data="hello"))
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    names = [name for name, *_ in BagReader(tmp_path / "bag")]
    assert names.count("/words") == 20
    assert names.count(SPEED) >= 15


@pytest.mark.ros
def test_an_existing_directory_is_refused(recorder, tmp_path):
    process = recorder(output=tmp_path)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "exists already" in output
    assert "Traceback" not in output
