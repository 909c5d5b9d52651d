"""The bridge as another process sees it, over DDS."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
from carla_msgs.msg import CarlaEgoVehicleControl
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy

from wm_msgs.srv import StartRoute
from wm_perception.frame import LightState
from wm_perception.messages import stamp_ns
from wm_perception.node_tools import FrameInput, header, subscription
from wm_perception.sync import FrameAssembler
from wm_perception.topics import START_ROUTE_SERVICE, TOPICS, topic
from wm_sim.bridge_messages import truncated

pytestmark = pytest.mark.ros

ROLE = "hero"
DT_NS = 100_000_000
FAKE = str(Path(__file__).with_name("fake_bridge.py"))
PATIENCE_S = 20.0


class Client:
    """A node beside the bridge: starts episodes, sends commands, keeps what it hears."""

    def __init__(self, domain_id: int):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.heard: dict[str, list] = defaultdict(list)
        self._start = self.node.create_client(StartRoute, START_ROUTE_SERVICE)
        entry = topic("vehicle_control_cmd")
        self.commands = self.node.create_publisher(
            CarlaEgoVehicleControl, entry.name(ROLE), entry.publisher_qos()
        )

    def hear(self, *keys: str) -> None:
        for key in keys:
            subscription(self.node, key, ROLE, self.heard[key].append)

    def until(self, condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            self._executor.spin_once(timeout_sec=0.05)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def ready(self) -> None:
        """Wait until the bridge is there and everything heard is matched."""
        names = [topic(key).name(ROLE) for key in self.heard]
        self.until(
            lambda: (
                self._start.service_is_ready()
                and self.commands.get_subscription_count()
                and all(self.node.count_publishers(name) for name in names)
            )
        )
        self.spin(0.5)

    def start(self, **request) -> StartRoute.Response:
        future = self._start.call_async(StartRoute.Request(**request))
        self.until(future.done)
        return future.result()

    def command(self, at_ns: int, throttle: float = 0.5) -> None:
        self.commands.publish(CarlaEgoVehicleControl(header=header(at_ns), throttle=throttle))

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def client(ros_domain) -> Iterator[Client]:
    result = Client(ros_domain.id)
    yield result
    result.close()


@pytest.fixture
def bridge(start_node) -> Callable[..., subprocess.Popen]:
    """Starts a bridge, by default one without SUMO."""

    def start(script: str = FAKE, **values) -> subprocess.Popen:
        program = [script] if script.endswith(".py") else ["-m", script]
        return start_node(*program, **{"role_name": ROLE} | values)

    return start


def test_topics_types_and_qos(client, bridge):
    bridge(wait_for_start=True, camera=False)
    client.ready()
    absent = ("image", "camera_info")
    for entry in (t for t in TOPICS if t.publisher == "source"):
        found = client.node.get_publishers_info_by_topic(entry.name(ROLE))
        if entry.key in absent:
            assert not found
            continue
        (info,) = found
        assert info.topic_type == entry.type_name
        assert info.node_name == "carla_ros_bridge"
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        latched = info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert latched == entry.latched, entry.key
        # History is not part of discovery; it is not to be wrong where it is.
        assert info.qos_profile.history in (HistoryPolicy.KEEP_LAST, HistoryPolicy.UNKNOWN)


def test_lockstep_ticks_once_per_command_and_waits(client, bridge):
    bridge(wait_for_start=True, camera=False, command_wait_s=1.0)
    client.hear("clock", "status", "waypoints", "collision", "odometry")
    client.ready()
    assert not client.heard["odometry"]
    response = client.start(route=0)
    assert response.success
    assert response.length == pytest.approx(120.0)
    frames = client.heard["odometry"]
    for k in range(30):
        client.until(lambda k=k: len(frames) == k + 1)
        client.command(stamp_ns(frames[-1].header.stamp))
    client.until(lambda: len(frames) == 31)
    stamps = [stamp_ns(m.header.stamp) for m in frames]
    assert stamps == [truncated(k * DT_NS) for k in range(31)]
    client.spin(0.6)
    assert len(frames) == 31
    begin = time.monotonic()
    client.until(lambda: len(frames) == 32)
    assert 0.1 < time.monotonic() - begin < 1.5
    client.spin(0.2)
    clocks = [stamp_ns(m.clock) for m in client.heard["clock"]]
    assert clocks == [truncated(k * DT_NS) for k in range(32)]
    assert stamp_ns(client.heard["waypoints"][-1].header.stamp) == stamp_ns(response.stamp)
    assert len(client.heard["collision"]) == 1
    assert client.heard["status"][-1].synchronous_mode_running


def test_every_frame_has_the_lights_of_its_own_stamp(client, bridge):
    bridge(wait_for_start=True, camera=False)
    assembler = FrameAssembler(ROLE, want_scene=False)
    frames = []

    def feed(key, message):
        frame = assembler.feed(key, message)
        if frame is not None:
            frames.append(frame)
            client.command(frame.stamp_ns)

    FrameInput(client.node, ROLE, feed, skip=("image",))
    client.ready()
    client.spin(0.5)
    assert client.start(route=0).success
    client.until(lambda: len(frames) >= 200)
    for number, frame in enumerate(frames):
        assert frame.light_states == {3: LightState(number % 3)}
    assert [f.stamp_ns for f in frames] == [truncated(k * DT_NS) for k in range(len(frames))]
    assert not assembler.health.problems
    assert frames[1].ego.command.accel == 0.5


def test_latched_topics_reach_a_late_subscriber(client, bridge):
    bridge(camera=False)
    client.ready()
    client.spin(0.5)
    keys = ("world_info", "map", "vehicle_info", "waypoints", "traffic_lights_info")
    client.hear(*keys, "traffic_lights_status")
    client.until(lambda: all(client.heard[key] for key in (*keys, "traffic_lights_status")))
    assert client.heard["map"][0].data == client.heard["world_info"][0].opendrive
    assert client.heard["vehicle_info"][0].rolename == ROLE
    assert client.heard["traffic_lights_info"][0].traffic_lights[0].id == 3


def test_real_time_brakes_when_commands_stop(client, bridge):
    bridge(camera=False, synchronous=False)
    client.hear("vehicle_status")
    client.ready()
    for _ in range(10):
        client.command(0)
        client.spin(0.1)
    assert client.heard["vehicle_status"][-1].control.throttle == pytest.approx(0.5)
    begin = time.monotonic()
    client.until(lambda: client.heard["vehicle_status"][-1].control.brake == 1.0)
    assert time.monotonic() - begin < 0.9


def test_two_interrupts_end_it_quietly(client, bridge):
    process = bridge(camera=False)
    client.ready()
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"town": "nowhere"}, "unknown town 'nowhere'; known towns:"),
        ({"town": "tiny", "route": 999}, "has routes 0.."),
        ({"colour": "red"}, "parameter 'colour': Extra inputs are not permitted (known"),
        ({"frame_dt": -1.0}, "parameter 'frame_dt': Input should be greater than 0"),
    ],
)
def test_user_errors_are_said_in_words(bridge, values, text):
    process = bridge("wm_sim.bridge_node", camera=False, **values)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "FATAL" in output
    assert text in output
    assert "Traceback" not in output


def test_an_unknown_route_is_refused_without_harm(client, bridge):
    process = bridge("wm_sim.bridge_node", town="tiny", camera=False, wait_for_start=True)
    client.ready()
    refused = client.start(route=999)
    assert not refused.success
    assert "has routes 0.." in refused.message
    assert client.start(route=1, traffic=2).success
    assert process.poll() is None
