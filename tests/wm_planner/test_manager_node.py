"""The manager as a process: it brings a real gate up, says why it cannot, takes it down."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from wm_planner.graph_watch import GraphWatch
from wm_planner.manager import Phase

pytestmark = pytest.mark.ros

PATIENCE_S = 40.0


def _fake_source():
    spec = importlib.util.spec_from_file_location(
        "fake_source", Path(__file__).parent / "fake_source.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FakeSource()


class Bench:
    """A source that proposes, who watches the manager, and the means to start nodes."""

    def __init__(self, source, start: Callable):
        self.source = source
        self.watch = GraphWatch(source.node, "ego_vehicle")
        self._start = start

    def gate(self, **parameters):
        return self._start("-m", "wm_planner.gate_node", **parameters)

    def manager(self):
        return self._start("-m", "wm_planner.manager_node", nodes="[wm_gate]")

    def until(self, condition: Callable[[], object]) -> None:
        assert self.source.spin_until(condition, PATIENCE_S), self.watch.waiting_for

    def nodes(self) -> list[str]:
        return self.source.node.get_node_names()


@pytest.fixture
def bench(ros_domain, start_node):
    source = _fake_source()
    yield Bench(source, start_node)
    source.close()


def test_the_graph_comes_up_and_goes_down_without_a_word_too_many(bench):
    gate, manager = bench.gate(), bench.manager()
    bench.until(lambda: bench.watch.active)
    assert bench.watch.waiting_for == ""
    bench.source.frame()
    bench.source.propose(0.0, 0.2)
    assert bench.source.command_after(0, 5.0) is not None

    manager.send_signal(signal.SIGINT)
    last = bench.source.command_after(1, 5.0)
    assert last is not None and (last.throttle, last.brake) == (0.0, 1.0), "the gate's last word"
    said = manager.communicate(timeout=10)[0]
    assert manager.returncode == 0 and "Traceback" not in said and "rror" not in said
    assert "wm_gate" in bench.nodes(), "the manager ends no process"

    gate.send_signal(signal.SIGINT)
    said = gate.communicate(timeout=10)[0]
    assert gate.returncode == 0 and "Traceback" not in said and "rror" not in said
    # It took its leave: a process that is only killed is taken for alive for 20 s.
    assert bench.source.spin_until(lambda: "wm_gate" not in bench.nodes(), 5.0)


def test_what_cannot_be_configured_is_said_and_comes_up_once_it_can(bench):
    gate = bench.gate(**{"limits.jerk_up_mps3": -1.0})
    bench.manager()
    bench.until(lambda: bench.watch.phase == Phase.REFUSED and "jerk" in bench.watch.waiting_for)
    with pytest.raises(Exception, match="wm_gate is unconfigured: .*limits.jerk_up_mps3"):
        bench.watch.check()
    assert gate.poll() is None

    client = bench.source.node.create_client(SetParameters, "/wm_gate/set_parameters")
    bench.until(client.service_is_ready)
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=40.0)
    answer = client.call_async(
        SetParameters.Request(parameters=[Parameter(name="limits.jerk_up_mps3", value=value)])
    )
    bench.until(answer.done)
    bench.until(lambda: bench.watch.active)


def test_two_gates_are_not_activated(bench):
    bench.gate()
    bench.gate()
    bench.until(lambda: bench.nodes().count("wm_gate") == 2)
    bench.manager()
    bench.until(lambda: "two nodes are called wm_gate" in bench.watch.waiting_for)
    assert not bench.watch.active
