"""The gate's pure parts: RSS distances, limits, manoeuvre profile, frame ledger."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_perception.frame import Command, Objects
from wm_planner.gate_config import LimitsConfig, ManoeuvreConfig, RssConfig, VehicleConfig
from wm_planner.gate_frames import FrameLedger
from wm_planner.gate_limits import acceleration, lateral_acceleration, limit_command, pedal
from wm_planner.gate_manoeuvre import brake_command
from wm_planner.gate_rss import gap_ahead, safe_distance
from wm_planner.gate_state import GateState

LIMITS, VEHICLE, MANOEUVRE = LimitsConfig(), VehicleConfig(), ManoeuvreConfig()
FINITE = st.floats(allow_nan=False, allow_infinity=False)

# Computed with PyPI ad-rss 5.0.0 (used as an oracle only): (rear, front) m/s -> m.
GOLDEN_SAME_DIRECTION = {
    (5.0, 0.0): 15.7812,
    (10.0, 0.0): 34.5312,
    (10.0, 10.0): 28.2812,
    (13.9, 13.9): 41.4194,
    (15.0, 5.0): 57.9688,
    (20.0, 20.0): 65.7812,
    (30.0, 0.0): 172.0312,
}


@pytest.mark.parametrize("speeds", GOLDEN_SAME_DIRECTION)
def test_rss_equals_the_golden_values(speeds):
    assert safe_distance(*speeds, RssConfig()) == pytest.approx(
        GOLDEN_SAME_DIRECTION[speeds], abs=1e-4
    )


@given(st.floats(0, 60), st.floats(0, 60), st.floats(0, 20), st.floats(0, 3))
def test_rss_grows_with_own_speed_and_response_time(front, rear, faster, slower_response):
    near = safe_distance(rear, front, RssConfig())
    assert safe_distance(rear + faster, front, RssConfig()) >= near
    sleepy = RssConfig(response_s=1.0 + slower_response)
    assert safe_distance(rear, front, sleepy) >= near


def test_rss_fails_closed():
    assert safe_distance(float("nan"), 5.0, RssConfig()) == math.inf
    assert safe_distance(5.0, float("inf"), RssConfig()) == math.inf


def test_gap_ahead_follows_the_driven_arc():
    objects = Objects(
        ids=np.array([1, 2]),
        poses=np.array([[30.0, 0.0, 0.0], [20.0, 4.0, 0.0]]),
        velocities=np.array([[6.0, 0.0], [3.0, 0.0]]),
        sizes=np.array([[4.5, 1.8], [4.5, 1.8]]),
    )
    straight = gap_ahead(np.zeros(3), 0.0, objects)
    assert (straight.gap_m, straight.speed_mps) == (pytest.approx(25.5), pytest.approx(6.0))
    left = gap_ahead(np.zeros(3), 0.02, objects)
    assert (left.gap_m, left.speed_mps) == (pytest.approx(15.5), pytest.approx(3.0))
    assert gap_ahead(np.array([0.0, 0.0, math.pi]), 0.0, objects) is None
    assert gap_ahead(np.zeros(3), 0.0, Objects()) is None


@settings(max_examples=1000, deadline=None)
@given(FINITE, FINITE, st.floats(-1, 1), st.floats(-1, 1), st.floats(-100, 100), FINITE)
def test_limited_commands_are_finite_and_within_limits(steer, accel, s0, a0, speed, step):
    before = Command(s0, a0)
    command = limit_command(Command(steer, accel), before, speed, step, LIMITS, VEHICLE).command
    assert math.isfinite(command.steer) and math.isfinite(command.accel)
    assert abs(command.steer) <= 1.0 and abs(command.accel) <= 1.0
    taken = min(0.5, max(0.02, step))
    turned = abs(command.steer - s0) * VEHICLE.max_steer_rad
    assert turned <= LIMITS.steer_rate_radps * taken * (1 + 1e-9)
    change = acceleration(command, VEHICLE) - acceleration(before, VEHICLE)
    assert -LIMITS.jerk_down_mps3 * taken - 1e-9 <= change <= LIMITS.jerk_up_mps3 * taken + 1e-9
    sideways = lateral_acceleration(command.steer, speed, VEHICLE)
    towards = abs(command.steer) < abs(s0)  # still on its way down at the highest rate
    assert sideways <= LIMITS.lateral_acceleration_mps2 * (1 + 1e-6) or towards


def test_a_command_within_limits_is_untouched():
    wanted = Command(0.07, -0.31)
    limited = limit_command(wanted, Command(0.02, 0.1), 7.0, 0.1, LIMITS, VEHICLE)
    assert limited.command == wanted and not limited.clamped
    assert not any(rule.tripped for rule in limited.rules)


@pytest.mark.parametrize("bad", [Command(float("nan"), 0.0), Command(0.0, float("inf"))])
def test_limits_refuse_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="not finite"):
        limit_command(bad, Command(), 5.0, 0.1, LIMITS, VEHICLE)
    with pytest.raises(ValueError, match="not finite"):
        limit_command(Command(), Command(), float("nan"), 0.1, LIMITS, VEHICLE)


@given(st.floats(-8.0, 4.5))
def test_pedal_is_the_inverse_of_acceleration(wanted):
    assert acceleration(Command(accel=pedal(wanted, VEHICLE)), VEHICLE) == pytest.approx(wanted)


def test_emergency_stop_distance_matches_the_closed_form():
    """From 15 m/s at -2.5 m/s^2 with jerk -1.5 m/s^3: 57.2 m."""
    speed, distance, step, command = 15.0, 0.0, 0.02, Command(accel=0.4)
    while speed > 0.0:
        command = brake_command(GateState.EMERGENCY_STOP, command, step, MANOEUVRE, VEHICLE)
        distance += speed * step
        speed += acceleration(command, VEHICLE) * step
    assert distance == pytest.approx(57.2, rel=0.02)


def test_a_manoeuvre_never_brakes_less_than_before_and_lets_the_steering_fade():
    hard = Command(steer=0.4, accel=-0.8)
    for state in (GateState.COMFORT_STOP, GateState.EMERGENCY_STOP, GateState.HOLD):
        command = brake_command(state, hard, 0.1, MANOEUVRE, VEHICLE)
        assert command.accel == pytest.approx(-0.8)
        assert 0.0 < command.steer < 0.4


def test_ledger_settles_earlier_frames_with_later_ones():
    frames = FrameLedger()
    for k in range(3):
        frames.arrive(k * 10**8, 1.0 + k)
    assert frames.wait_s(4.0) == pytest.approx(3.0)
    frames.settle(10**8, 4.0)
    assert frames.is_settled(0) and frames.has_open
    assert frames.wait_s(4.0) == pytest.approx(1.0)
    frames.settle(2 * 10**8, 4.5)
    assert not frames.has_open and frames.age_s(5.0) == pytest.approx(0.5)
    frames.pause(True, 5.0)
    assert frames.age_s(50.0) == 0.0
    frames.pause(False, 50.0)
    assert frames.age_s(50.1) == pytest.approx(0.1)
