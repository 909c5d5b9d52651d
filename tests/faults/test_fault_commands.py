"""Proposals that must not be driven: a deliberately bad planner before the real gate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_graph import COMFORT_STOP, HOLD, NOMINAL, Graph, assert_within_limits, what
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from wm_planner.bad_planner_node import FUTURE_NS
from wm_planner.node_table import drive_options, node_table

pytestmark = pytest.mark.ros

GROUP = "commands outside the limits"


@pytest.fixture(scope="module")
def graph(start_graph) -> Iterator[Graph]:
    """Bridge, gate and a bad planner; nobody perceives."""
    modules = {"planner": "wm_planner.bad_planner_node"}
    with start_graph(modules=modules, without=("perception",)) as result:
        yield result


@pytest.fixture
def propose(graph):
    """Changes what the planner does wrong; at once, or a quick simulator ends the route before."""
    client = graph.watch.node.create_client(SetParameters, "/wm_planner/set_parameters")
    graph.watch.until(client.service_is_ready, "the bad planner is there")

    def change(kind: str) -> None:
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=kind)
        future = client.call_async(
            SetParameters.Request(parameters=[Parameter(name="kind", value=value)])
        )
        graph.watch.until(future.done, "an answer")
        assert future.result().results[0].successful

    yield change
    change("good")
    graph.watch.node.destroy_client(client)


@pytest.mark.parametrize("kind", ["nan", "infinite", "future"])
def test_what_is_no_command_is_never_clamped(graph, matrix, propose, kind):
    graph.cruise()
    with matrix.row(GROUP, f"proposals: {kind}", 0.0) as row:
        mark = graph.mark
        propose(kind)
        stop = graph.stopped(mark)
        bad = next(e for e in graph.watch.of("control_proposal", mark) if is_bad(e, kind, stop))
        frame_ns = bad.stamp_ns - (FUTURE_NS if kind == "future" else 0)
        row.detected(graph.ticks(frame_ns, stop), "/wm/safety_state")
        assert stop.message.state == COMFORT_STOP
        row.reaction = what(stop)
        assert_within_limits(graph, mark)
        propose("good")
        graph.recovered(row, stop, least=5)


def is_bad(event, kind: str, stop) -> bool:
    """Whether it is the proposal that the gate stopped on."""
    message = event.message
    wild = not (math.isfinite(message.steer) and math.isfinite(message.accel))
    ahead = kind == "future" and event.stamp_ns > stop.stamp_ns  # others answer a frame that came
    return event.sent_s <= stop.sent_s and (wild or ahead)


@pytest.mark.parametrize("kind", ["beyond", "steer_flips", "pedal_flips"])
def test_what_is_beyond_the_limits_is_clamped_counted_and_stopped(graph, matrix, propose, kind):
    graph.cruise()
    with matrix.row(GROUP, f"proposals: {kind}", 1.0) as row:
        mark = graph.mark
        before = graph.watch.last("safety_state").message.interventions
        propose(kind)
        clamped = graph.watch.first("safety_state", lambda m: m.interventions > before, mark)
        assert clamped.message.state == NOMINAL
        stop = graph.stopped(mark)
        row.detected((stop.stamp_ns - clamped.stamp_ns) * 1e-9, "/wm/safety_state, the 6th clamp")
        assert stop.message.state in (COMFORT_STOP, HOLD), "flipping pedals may have stopped it"
        rules = [r.name for r in clamped.message.rules if r.tripped]
        row.reaction = f"clamped from the first frame on ({', '.join(rules)}); {what(stop)}"
        assert_within_limits(graph, mark)
        propose("good")
        graph.recovered(row, stop, least=5)


def test_the_bad_planner_is_in_no_table():
    specs = node_table(drive_options({"town": "tiny"}), Path("model"))
    assert not any("bad" in spec.module for spec in specs)
