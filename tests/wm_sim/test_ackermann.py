"""Ackermann commands drive a simple vehicle to what they ask for."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from ackermann_msgs.msg import AckermannDrive, AckermannDriveStamped

from wm_sim.ackermann import AckermannControl, AckermannTarget
from wm_sim.ackermann_input import AckermannInput

MASS_KG, LOCK = 1500.0, 0.6


class Car:
    """Throttle 3 m/s^2, brake 8 m/s^2, some drag; brakes do not drive backwards."""

    def __init__(self, dt: float, speed: float = 0.0):
        self.dt, self.speed = dt, speed
        self.control = AckermannControl(dt, LOCK, MASS_KG)
        self.speeds: list[float] = []

    def drive(self, target: AckermannTarget, seconds: float) -> None:
        for _ in range(round(seconds / self.dt)):
            command = self.control.command(target, self.speed)
            push = 3.0 * max(0.0, command.accel) * (-1.0 if command.reverse else 1.0)
            slow = (8.0 * max(0.0, -command.accel) + 0.03 * abs(self.speed)) * self.dt
            rolling = max(0.0, abs(self.speed) - slow)
            self.speed = math.copysign(rolling, self.speed) + push * self.dt
            self.speeds.append(self.speed)


@pytest.mark.parametrize("dt", [0.05, 0.1])
@pytest.mark.parametrize("wanted", [3.0, 8.0, -3.0])
def test_speed_is_reached_without_overshoot_and_kept(dt, wanted):
    car = Car(dt)
    car.drive(AckermannTarget(0.0, wanted), 40.0)
    assert car.speed == pytest.approx(wanted, rel=0.05)
    assert max(s / wanted for s in car.speeds) < 1.03
    assert min(s / wanted for s in car.speeds) >= 0.0


def test_speed_zero_brakes_hard_and_holds():
    car = Car(0.1, speed=10.0)
    car.drive(AckermannTarget(0.0, 0.0), 6.0)
    assert car.speed == 0.0
    assert car.control.command(AckermannTarget(0.0, 0.0), 0.0).accel == -1.0
    stopped = next(k for k, s in enumerate(car.speeds) if s == 0.0) * 0.1
    assert stopped < 4.5


def test_a_small_acceleration_is_a_limit():
    car = Car(0.05)
    car.drive(AckermannTarget(0.0, 8.0, 0.5), 8.0)
    assert car.speed == pytest.approx(0.5 * 8.0, rel=0.25)


def test_a_large_acceleration_is_followed():
    car = Car(0.05, speed=2.0)
    car.drive(AckermannTarget(0.0, 20.0, 1.5), 6.0)
    late = (car.speeds[-1] - car.speeds[-41]) / 2.0
    assert late == pytest.approx(1.5, abs=0.25)


def test_direction_changes_only_at_standstill():
    car = Car(0.1, speed=4.0)
    first = car.control.command(AckermannTarget(0.0, -2.0), 4.0)
    assert not first.reverse
    car.drive(AckermannTarget(0.0, -2.0), 40.0)
    assert car.speed == pytest.approx(-2.0, rel=0.1)


def test_steering_is_a_fraction_of_full_lock():
    control = AckermannControl(0.1, LOCK, MASS_KG)
    assert control.command(AckermannTarget(0.3, 1.0), 0.0).steer == pytest.approx(0.5)
    assert control.command(AckermannTarget(-9.0, 1.0), 0.0).steer == -1.0


def test_the_past_can_be_forgotten():
    control = AckermannControl(0.1, LOCK, MASS_KG)
    target = AckermannTarget(0.0, 8.0)
    first = [control.command(target, 0.5 * k) for k in range(5)]
    control.reset()
    assert [control.command(target, 0.5 * k) for k in range(5)] == first


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["angle", "speed_mps", "accel_mps2"])
def test_what_is_not_finite_is_refused(field, bad):
    control = AckermannControl(0.1, LOCK, MASS_KG)
    values = {"angle": 0.0, "speed_mps": 1.0, "accel_mps2": 0.0} | {field: bad}
    with pytest.raises(ValueError, match="not finite"):
        control.command(AckermannTarget(**values), 0.0)


class Bridge:
    """An input with the loop and the simulator faked."""

    def __init__(self):
        self.commands: list = []
        self.complaints: list[str] = []
        self.loop = SimpleNamespace(
            started=True, episode_ns=0, stamp_ns=0, on_command=self.commands.append
        )
        ego = SimpleNamespace(speed_mps=0.0)
        source = SimpleNamespace(frame=lambda: SimpleNamespace(ego=ego))
        self.input = AckermannInput(
            source, self.loop, 0.1, lambda kind, text: self.complaints.append(text)
        )


def drive(angle: float, speed: float = 5.0) -> AckermannDrive:
    return AckermannDrive(steering_angle=angle, speed=speed, acceleration=2.0)


def test_the_companion_node_is_left_positive_the_native_interface_right_positive():
    bridge = Bridge()
    bridge.input.on_drive(drive(0.3))
    bridge.loop.stamp_ns += 1
    bridge.input.on_native(AckermannDriveStamped(drive=drive(0.3)))
    left, right = (message.steer for message in bridge.commands)
    assert left < 0.0 < right  # of CarlaEgoVehicleControl, right positive
    assert left == -right
    assert all(message.throttle > 0.0 for message in bridge.commands)


def test_one_frame_is_controlled_once():
    bridge = Bridge()
    for _ in range(3):
        bridge.input.on_drive(drive(0.0))
    assert bridge.commands[0] == bridge.commands[1] == bridge.commands[2]
    bridge.loop.stamp_ns += 1
    bridge.input.on_drive(drive(0.0))
    assert bridge.commands[3].throttle > bridge.commands[0].throttle


def test_a_new_episode_begins_without_a_past():
    bridge = Bridge()
    for stamp in range(5):
        bridge.loop.stamp_ns = stamp
        bridge.input.on_drive(drive(0.0))
    bridge.loop.episode_ns = bridge.loop.stamp_ns = 9
    bridge.input.on_drive(drive(0.0))
    assert bridge.commands[-1] == bridge.commands[0]


def test_nothing_is_commanded_by_nonsense_or_before_an_episode():
    bridge = Bridge()
    bridge.input.on_drive(drive(math.nan))
    bridge.input.on_native(AckermannDriveStamped(drive=drive(0.0, math.inf)))
    assert not bridge.commands
    assert ["not finite" in text and "refused" in text for text in bridge.complaints] == [True] * 2
    bridge.loop.started = False
    bridge.input.on_drive(drive(0.0))
    assert not bridge.commands
