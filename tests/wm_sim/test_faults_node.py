"""Faults of a running bridge as another process sees them: over DDS, and in a recorded bag."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from carla_msgs.msg import CarlaEgoVehicleControl, CarlaEgoVehicleStatus
from nav_msgs.msg import Odometry
from std_msgs.msg import Float32

from wm_msgs.msg import FaultArray
from wm_msgs.srv import SetFaults, StartRoute
from wm_perception.messages import stamp_ns
from wm_perception.topics import service, topic
from wm_training.recording import BagReader

sys.path.insert(0, str(Path(__file__).with_name("contract")))

from contract_client import Client

pytestmark = pytest.mark.ros

ROLE = "hero"
DT_NS = 100_000_000
FAKE = str(Path(__file__).with_name("fake_bridge.py"))
HEARD = {
    "odometry": Odometry,
    "speedometer": Float32,
    "vehicle_status": CarlaEgoVehicleStatus,
    "faults": FaultArray,
}


class Drive:
    """A client that answers every odometry, or every frame's status, with full throttle."""

    def __init__(self, domain_id: int):
        self.client = Client(domain_id, ROLE)
        for key, kind in HEARD.items():
            self.client.hear(topic(key).name(ROLE), kind, topic(key).latched)

    def heard(self, key: str) -> list[Any]:
        return [message for _, message in self.client.heard[topic(key).name(ROLE)]]

    def begin(self) -> None:
        self.client.until(lambda: self.heard("faults"))
        self.client.spin(0.5)
        assert self.client.call(StartRoute, service("start_route").name(), route=0).success
        self.client.until(lambda: self.heard("vehicle_status"))

    def frames(self, count: int) -> None:
        """Answer frames; vehicle_status, which no fault of these tests touches, counts them."""
        for _ in range(count):
            known = len(self.heard("vehicle_status"))
            command = CarlaEgoVehicleControl(throttle=1.0)
            command.header.stamp = self.heard("vehicle_status")[-1].header.stamp
            self.client.send(topic("vehicle_control_cmd").name(ROLE), command)
            self.client.until(lambda known=known: len(self.heard("vehicle_status")) > known)
        self.client.spin(0.1)

    def set(self, *faults: str) -> SetFaults.Response:
        return self.client.call(SetFaults, service("set_faults").name(), faults=list(faults))


@pytest.fixture
def drive(ros_domain) -> Iterator[Drive]:
    result = Drive(ros_domain.id)
    yield result
    result.client.close()


@pytest.fixture
def bridge(start_node) -> Callable[..., Any]:
    """Starts a bridge without SUMO."""

    def start(**values: object):
        return start_node(
            FAKE, **{"role_name": ROLE, "camera": False, "wait_for_start": True} | values
        )

    return start


def stamps(messages: list[Any]) -> list[int]:
    return [round(stamp_ns(m.header.stamp) / DT_NS) for m in messages]


def test_faults_set_by_service_are_seen_told_and_end(bridge, drive):
    bridge()
    drive.begin()
    drive.frames(5)
    assert drive.set("odometry:delay:2", "speedometer:nan@0.1+0.2").success
    drive.frames(5)
    assert drive.set().message == "no faults"
    drive.frames(3)
    # Frames 0-5 are sound; 6 and 7 are held back; what is held when the list changes is lost.
    assert stamps(drive.heard("odometry")) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13]
    speeds = [m.data for m in drive.heard("speedometer")]
    assert [k for k, v in enumerate(speeds) if math.isnan(v)] == [6, 7]
    assert stamps(drive.heard("vehicle_status")) == list(range(14))
    told = drive.heard("faults")
    assert [[f.kind for f in m.faults] for m in told[-3:]] == [[], ["delay", "nan"], []]
    assert stamps(told[-2:]) == [5, 10]


def test_what_cannot_be_is_refused_over_the_service(bridge, drive):
    process = bridge(faults="['speedometer:scale:1.2']")
    drive.begin()
    drive.frames(3)
    for text, reason in (
        ("speedo:drop", "no topic 'speedo' here; known topics:"),
        ("odometry:wrong_size", "Odometry has no content of variable size"),
        ("odometry:delay:soon", "is no fault"),
        ("clock:melt", "unknown kind of fault 'melt'"),
    ):
        answer = drive.set(text)
        assert not answer.success
        assert reason in answer.message
    drive.frames(2)
    speeds = [m.data for m in drive.heard("speedometer")]
    truth = [m.velocity for m in drive.heard("vehicle_status")]
    assert speeds == pytest.approx([1.2 * v for v in truth])
    assert process.poll() is None


def test_a_late_subscriber_is_told_what_is_set(bridge, drive):
    bridge(faults="['odometry:drop:2', '*:duplicate%0.5@3']")
    drive.client.until(lambda: drive.heard("faults"))
    (first, second) = drive.heard("faults")[-1].faults
    assert (first.topic, first.kind, first.value) == ("odometry", "drop", 2.0)
    assert (second.topic, second.probability, second.start_s) == ("*", 0.5, 3.0)


def test_a_lagging_vehicle_keeps_lockstep(bridge, drive):
    bridge(faults="['vehicle_control_cmd:delay:3']", command_wait_s=5.0)
    drive.begin()
    began = time.monotonic()
    drive.frames(8)
    assert time.monotonic() - began < 5.0  # nothing waited for a command in vain
    throttles = [m.control.throttle for m in drive.heard("vehicle_status")]
    assert throttles == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_a_dropped_command_is_one_that_never_came(bridge, drive):
    bridge(faults="['vehicle_control_cmd:drop@0.2+0.1']", command_wait_s=0.3)
    drive.begin()
    drive.frames(5)
    throttles = [m.control.throttle for m in drive.heard("vehicle_status")]
    assert throttles == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]  # the last one is held meanwhile


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("odometry:delay", "odometry:delay: needs a number of frames"),
        ("lidar:drop", "no topic 'lidar' here; known topics:"),
        ("speedometer:clock_jump:1", "Float32 has no stamp"),
    ],
)
def test_a_bad_parameter_is_said_in_words(bridge, text, reason):
    process = bridge(faults=f"['{text}']")
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "FATAL" in output
    assert reason in output
    assert "Traceback" not in output


def test_faults_are_in_the_recorded_bag(bridge, drive, start_node, tmp_path):
    bridge()
    recorder = start_node(
        "-m", "wm_training.recorder_node", output=str(tmp_path / "bag"), role_name=ROLE
    )
    name = topic("odometry").name(ROLE)
    drive.client.until(lambda: drive.client.node.count_subscribers(name) == 2)
    drive.begin()
    drive.frames(3)
    assert drive.set("odometry.pose.pose.position:noise:0.5%0.5").success
    drive.frames(3)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(timeout=20) == 0
    found = [m for n, _, _, m in BagReader(tmp_path / "bag") if n == topic("faults").name()]
    fault = found[-1].faults[0]
    assert (fault.topic, fault.field, fault.kind) == ("odometry", "pose.pose.position", "noise")
    assert (fault.value, fault.probability) == (0.5, 0.5)
    assert stamps(found[-1:]) == [3]
