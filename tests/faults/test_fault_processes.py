"""Nodes that hang, die, or come twice."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from fault_graph import EMERGENCY_STOP, FRAME_S, NOMINAL, what

pytestmark = [pytest.mark.ros, pytest.mark.slow]

GONE = "process killed or stopped"
WATCHDOG_S = 0.5  # simulated, config/bridge.yaml
HEARTBEAT_S = 0.5  # wall


def braked_within(graph, row, mark: int):
    """The first brake of the gate after ``mark``, with the wait of the frame that it answers."""
    stop = graph.stopped(mark)
    braked = graph.watch.first("vehicle_control_cmd", lambda m: m.brake > 0.0, mark)
    frame = graph.watch.first("odometry", lambda m: True, 0, braked.stamp_ns)
    row.detected(braked.sent_s - frame.sent_s, "/carla/ego_vehicle/vehicle_control_cmd")
    assert stop.message.state == EMERGENCY_STOP
    row.reaction = what(stop)
    return stop


def test_a_planner_that_hangs_is_braked_for(graph, matrix):
    graph.cruise()
    with matrix.row("planner late or hung", "planner SIGSTOP", HEARTBEAT_S, "wall") as row:
        mark = graph.mark
        graph.kill("planner", signal.SIGSTOP)
        try:
            stop = braked_within(graph, row, mark)
        finally:
            graph.kill("planner", signal.SIGCONT)
        graph.recovered(row, stop, least=5)


def test_a_planner_that_is_killed_is_braked_for_and_replaced(graph, matrix):
    graph.cruise()
    with matrix.row(GONE, "planner SIGKILL", HEARTBEAT_S, "wall") as row:
        mark = graph.mark
        graph.kill("planner")
        stop = braked_within(graph, row, mark)
        graph.restart("planner")
        graph.recovered(row, stop, least=5)
        row.recovery = f"the manager activates the restarted node; {row.recovery}"


def the_vehicle_brakes(graph, row):
    """Its own watchdog notices that no commands come any more."""
    heard = graph.watch.last("vehicle_control_cmd")
    braked = graph.watch.first(
        "vehicle_status", lambda m: m.control.brake == 1.0, 0, heard.stamp_ns
    )
    last = graph.watch.last("vehicle_control_cmd")  # one more may have been on its way
    # The status of a frame echoes the command that led to it.
    row.detected((braked.stamp_ns - last.stamp_ns) * 1e-9 - FRAME_S, "vehicle_status")
    row.reaction = "the vehicle's own watchdog: full brake"


def test_a_gate_that_is_killed_leaves_the_braking_to_the_vehicle(graph, matrix):
    graph.cruise()
    with matrix.row(GONE, "gate SIGKILL", WATCHDOG_S) as row:
        graph.kill("gate")
        graph.launcher.processes["gate"].wait(5.0)
        the_vehicle_brakes(graph, row)
        mark = graph.mark
        graph.restart("gate")
        graph.watch.first("safety_state", lambda m: m.state == NOMINAL, mark, patience_s=60.0)
        row.recovery = "the manager activates the restarted node"


def test_a_gate_that_hangs_leaves_the_braking_to_the_vehicle(graph, matrix):
    graph.cruise()
    with matrix.row(GONE, "gate SIGSTOP", WATCHDOG_S) as row:
        graph.kill("gate", signal.SIGSTOP)
        try:
            the_vehicle_brakes(graph, row)
        finally:
            mark = graph.mark
            graph.kill("gate", signal.SIGCONT)
        graph.watch.first("safety_state", lambda m: m.state == NOMINAL, mark)
        row.recovery = "as soon as it goes on"


@pytest.mark.parametrize(
    ("name", "program", "topic", "said"),
    [
        ("second planner", ["sabotaged_planner"], "/wm/control_proposal", "nodes publish"),
        ("latents of another QoS", ["stranger", "latent"], "/wm/latent", "does not fit"),
    ],
)
def test_who_does_not_belong_there_is_reported(graph, matrix, name, program, topic, said):
    graph.cruise()
    with matrix.row("duplicate node, wrong QoS", name, 1.0, "wall") as row:
        mark = graph.mark
        parameters = ["-p", "autostart:=true", "-p", "model:=driving-bev"]
        command = [sys.executable, "-m", *program, "--ros-args", *parameters]
        stranger = subprocess.Popen(command, env=graph.environment, stderr=subprocess.PIPE)
        try:
            there_s = graph.publishers(topic, 2)
            told = graph.watch.first(
                "diagnostics",
                lambda m: any(topic in t and said in t for t in texts(m, "wm_planner: lifecycle")),
                mark,
            )
            row.detected(told.sent_s - there_s, "/diagnostics, wm_planner: lifecycle")
            row.reaction = "ERROR says who publishes what, and what does not fit"
            if name == "second planner":
                graph.watch.first("diagnostics", refused, mark)
                row.reaction = "ERROR says who publishes what; the second is not activated"
        finally:
            stranger.terminate()
            stranger.communicate(timeout=20)
        graph.publishers(topic, 1)
        row.recovery = "when it is gone"


def texts(message, name: str) -> list[str]:
    """What the statuses of a name say."""
    return [status.message for status in message.status if status.name == name]


def refused(message) -> bool:
    """Whether a planner says that it was not activated."""
    return any("not activated" in text for text in texts(message, "wm_planner: lifecycle"))
