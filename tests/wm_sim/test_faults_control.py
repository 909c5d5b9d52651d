"""Setting faults: checked against the topics there are, told, begun anew with every episode."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from carla_msgs.msg import CarlaEgoVehicleControl
from std_msgs.msg import Bool, Float32

from wm_dynamics.errors import UserError
from wm_msgs.srv import SetFaults
from wm_perception.messages import stamp_ns
from wm_sim.faults_control import FaultControl

TYPES = {"speed": Float32, "flag": Bool, "cmd": CarlaEgoVehicleControl}
DT_NS = 100_000_000


class Bench:
    """A fault control with everything around it faked."""

    def __init__(self, *faults: str):
        self.sent: list[tuple] = []
        self.told: list = []
        self.episode = SimpleNamespace(started=False, stamp_ns=0, episode_ns=0, seed=0)
        self.control = FaultControl(
            faults, lambda key, message: self.sent.append((key, message)), self.told.append
        )

    def start(self):
        self.control.start(self.episode, lambda: TYPES)
        return self

    def begin(self, at_ns: int = 0, seed: int = 0) -> None:
        self.episode.started, self.episode.seed = True, seed
        self.episode.stamp_ns = self.episode.episode_ns = at_ns

    def frame(self, value: float = 1.0) -> list[float]:
        """Publish the speed of one frame; what was sent of it."""
        self.sent.clear()
        self.control.publish("speed", Float32(data=value))
        self.control.release()
        self.episode.stamp_ns += DT_NS
        return [message.data for _, message in self.sent]

    def set(self, *faults: str) -> SetFaults.Response:
        return self.control.on_set(SetFaults.Request(faults=list(faults)), SetFaults.Response())


def test_everything_passes_before_it_is_started_and_before_an_episode():
    bench = Bench("speed:drop")
    assert bench.frame() == [1.0]
    bench.start()
    assert bench.frame() == [1.0]
    bench.begin()
    assert bench.frame() == []


def test_what_is_set_is_told_from_the_start():
    bench = Bench("speed.data:noise:0.5%0.25@1+2", "flag:freeze").start()
    (told,) = bench.told
    assert [f.topic for f in told.faults] == ["speed", "flag"]
    first = told.faults[0]
    assert (first.field, first.kind, first.value) == ("data", "noise", 0.5)
    assert (first.probability, first.start_s, first.duration_s) == (0.25, 1.0, 2.0)
    assert math.isinf(told.faults[1].duration_s)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("speedo:drop", "no topic 'speedo' here; known topics: cmd, flag, speed"),
        ("flag:nan", "flag:nan:1: Bool has no floating-point numbers"),
        ("speed:explode", "unknown kind of fault 'explode'"),
        ("nonsense", "is no fault; write TOPIC"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(text, reason):
    with pytest.raises(UserError) as caught:
        Bench(text).start()
    assert reason in str(caught.value)
    bench = Bench("speed:scale:2").start()
    bench.begin()
    assert bench.frame() == [2.0]
    told = len(bench.told)
    answer = bench.set("speed:drop", text)
    assert not answer.success
    assert reason in answer.message
    assert bench.frame() == [2.0]
    assert len(bench.told) == told


def test_times_are_counted_from_when_the_list_was_set():
    bench = Bench().start()
    bench.begin(at_ns=5 * DT_NS)
    assert [bench.frame() for _ in range(3)] == [[1.0]] * 3
    answer = bench.set("speed:drop@0.1+0.2")
    assert (answer.success, answer.message) == (True, "speed:drop:1@0.1+0.2")
    assert stamp_ns(bench.told[-1].header.stamp) == 8 * DT_NS
    assert [bench.frame() for _ in range(5)] == [[1.0], [], [], [1.0], [1.0]]


def test_an_empty_list_ends_all_faults():
    bench = Bench("speed:drop").start()
    bench.begin()
    assert bench.frame() == []
    assert bench.set().message == "no faults"
    assert bench.frame() == [1.0]
    assert not bench.told[-1].faults


def test_an_episode_has_the_same_faults_whatever_ran_before():
    def drive(bench: Bench, at_ns: int, seed: int) -> list[list[float]]:
        bench.begin(at_ns, seed)
        return [bench.frame() for _ in range(30)]

    bench = Bench("speed:noise:1", "speed:drop:0.3").start()
    runs = [drive(bench, at, seed) for at, seed in ((0, 1), (50 * DT_NS, 2), (90 * DT_NS, 1))]
    assert runs[0] == runs[2]
    assert runs[0] != runs[1]
    assert bench.told[-1].seed == 1
    assert stamp_ns(bench.told[-1].header.stamp) == 90 * DT_NS


def test_what_was_delayed_ends_with_the_episode():
    bench = Bench("speed:delay:2").start()
    bench.begin()
    assert [bench.frame(k) for k in range(4)] == [[], [], [0.0], [1.0]]
    bench.begin(at_ns=10 * DT_NS)
    assert [bench.frame(k) for k in range(7, 10)] == [[], [], [7.0]]


def test_inputs_can_be_hit_but_not_by_everything():
    heard = []
    bench = Bench("*:scale:0.5").start()
    handler = bench.control.heard("cmd", heard.append)
    bench.begin()
    handler(CarlaEgoVehicleControl(throttle=0.5))
    assert bench.set("cmd.throttle:scale:0.5").success
    handler(CarlaEgoVehicleControl(throttle=0.5, steer=0.5))
    assert [m.throttle for m in heard] == [0.5, 0.25]
    assert heard[1].steer == 0.5
    assert bench.set("cmd:drop").success
    handler(CarlaEgoVehicleControl())
    assert len(heard) == 2
