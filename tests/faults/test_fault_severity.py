"""Latency and noise that the stack has to live with: no command leaves the gate's limits."""

from __future__ import annotations

import pytest
from fault_graph import STOPPING, assert_within_limits, what

pytestmark = [pytest.mark.ros, pytest.mark.slow]

FRAMES = 40
FAULTS = {
    **{f"commands {n} frames late": f"vehicle_control_cmd:delay:{n}{{at}}" for n in range(1, 6)},
    "speed 20 % too high": "speedometer:scale:1.2{at}",
    "speed 20 % too low": "speedometer:scale:0.8{at}",
    "position noise of 1 m": "odometry.pose.pose.position:noise:1{at}",
}


def is_stop(event) -> bool:
    """Whether the gate stops the vehicle: for measurements that contradict each other it may."""
    return event.message.state in STOPPING


@pytest.mark.parametrize("name", FAULTS)
def test_no_command_leaves_the_limits(graph, matrix, name):
    graph.cruise()
    mark = graph.mark
    with matrix.row("latency and noise", name, 0.0) as row:
        start = graph.inject(FAULTS[name])
        graph.watch.first("odometry", lambda m: True, mark, start + FRAMES * 10**8)
        assert_within_limits(graph, mark)
        row.detected(0.0, "nothing has to be detected")
        stops = {what(e) for e in graph.watch.of("safety_state", mark) if is_stop(e)}
        row.reaction = "no command beyond a limit; " + ("; ".join(sorted(stops)) or "drives on")
        row.recovery = "none needed"
