"""The gate's limits and the minimal-risk manoeuvre."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_perception.frame import Command
from wm_planner.gate_config import LimitsConfig, ManoeuvreConfig, VehicleConfig
from wm_planner.gate_limits import (
    acceleration,
    lateral_acceleration,
    lateral_steer_limit,
    limit_command,
    pedal,
)
from wm_planner.gate_manoeuvre import brake_command
from wm_planner.gate_state import GateState

LIMITS, VEHICLE, MANOEUVRE = LimitsConfig(), VehicleConfig(), ManoeuvreConfig()
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=500, deadline=None)
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


def rules_of(wanted: Command, before: Command, speed: float, limits=LIMITS, vehicle=VEHICLE):
    limited = limit_command(wanted, before, speed, 0.1, limits, vehicle)
    return limited, {rule.name: rule for rule in limited.rules}


def test_each_limit_by_its_number():
    limited, rules = rules_of(Command(1.2, 0.0), Command(0.9, 0.0), 1.0)
    assert rules["steer"].tripped and (rules["steer"].value, rules["steer"].limit) == (1.2, 1.0)
    assert limited.command.steer == 1.0 and limited.clamped

    limited, rules = rules_of(Command(0.0, -1.5), Command(0.0, -1.0), 5.0)
    assert rules["pedal"].tripped and (rules["pedal"].value, rules["pedal"].limit) == (1.5, 1.0)
    assert limited.command.accel == -1.0 and limited.clamped

    limited, rules = rules_of(Command(-0.3, 0.0), Command(0.2, 0.0), 1.0)
    rate = rules["steer_rate"]
    assert rate.tripped and (rate.value, rate.limit) == (pytest.approx(0.5 * 0.61 / 0.1), 1.5)
    assert limited.command.steer == pytest.approx(0.2 - 1.5 * 0.1 / 0.61)

    limited, rules = rules_of(Command(0.0, 1.0), Command(0.0, -1.0), 5.0)
    jerk = rules["jerk"]
    assert jerk.tripped and (jerk.value, jerk.limit) == (pytest.approx((4.5 + 8.0) / 0.1), 40.0)
    assert limited.command.accel == pytest.approx(-0.5)
    limited, rules = rules_of(Command(0.0, -1.0), Command(0.0, 1.0), 5.0)
    assert rules["jerk"].tripped and rules["jerk"].limit == 80.0
    assert limited.command.accel == pytest.approx(-3.5 / 8.0)

    limited, rules = rules_of(Command(0.2, 0.0), Command(0.15, 0.0), 15.0)
    sideways = rules["lateral_acceleration"]
    assert sideways.tripped and sideways.limit == 4.0
    assert sideways.value == pytest.approx(15.0**2 * math.tan(0.2 * 0.61) / 2.6)
    assert lateral_acceleration(limited.command.steer, 15.0, VEHICLE) == pytest.approx(4.0)


def test_rules_around_zero_and_beyond_the_stops():
    _, rules = rules_of(Command(0.0, 0.0), Command(0.0, 0.0), 5.0)
    assert (rules["acceleration"].limit, rules["jerk"].limit) == (9.8, 80.0)
    _, rules = rules_of(Command(0.0, 0.01), Command(0.0, 0.0), 5.0)
    assert (rules["acceleration"].limit, rules["jerk"].limit) == (5.0, 40.0)
    _, rules = rules_of(Command(7.0, 7.0), Command(0.0, 0.0), 5.0)
    assert rules["lateral_acceleration"].value == pytest.approx(25.0 * math.tan(0.61) / 2.6)
    assert rules["acceleration"].value == 4.5 and rules["jerk"].value == pytest.approx(45.0)
    _, rules = rules_of(Command(0.0, -7.0), Command(0.0, 0.0), 5.0)
    assert rules["acceleration"].value == 8.0


def test_a_pedal_has_its_stops():
    assert pedal(100.0, VEHICLE) == 1.0 and pedal(-100.0, VEHICLE) == -1.0
    assert pedal(-math.inf, VEHICLE) == -1.0 and pedal(0.0, VEHICLE) == 0.0


def test_pedals_that_mean_more_than_a_car_can_do_are_clamped():
    vehicle = VehicleConfig(throttle_gain_mps2=10.0, brake_gain_mps2=20.0)
    limited, rules = rules_of(Command(0.0, 1.0), Command(0.0, 0.4), 5.0, vehicle=vehicle)
    assert rules["acceleration"].tripped and rules["acceleration"].value == 10.0
    assert limited.command.accel == pytest.approx(0.5)
    limited, rules = rules_of(Command(0.0, -0.6), Command(0.0, -0.4), 5.0, vehicle=vehicle)
    rule = rules["acceleration"]
    assert rule.tripped and (rule.value, rule.limit) == (pytest.approx(12.0), 9.8)
    assert limited.command.accel == pytest.approx(-9.8 / 20.0)
    limited, rules = rules_of(Command(0.0, -1.0), Command(0.0, -1.0), 5.0)
    assert not rules["acceleration"].tripped and limited.command.accel == -1.0


def test_exactly_at_a_limit_nothing_trips():
    limited, rules = rules_of(Command(1.0, -1.0), Command(0.9, -0.9), 1.0)
    assert limited.command == Command(1.0, -1.0) and not limited.clamped
    assert not any(rule.tripped for rule in rules.values())


def test_steps_of_odd_length_neither_freeze_nor_free_the_command():
    for step, taken in (
        (-1.0, 0.02),
        (0.0, 0.02),
        (0.02, 0.02),
        (0.3, 0.3),
        (0.5, 0.5),
        (9.0, 0.5),
    ):
        command = limit_command(Command(1.0), Command(-1.0), 0.0, step, LIMITS, VEHICLE).command
        assert command.steer == pytest.approx(min(1.0, -1.0 + 1.5 * taken / 0.61))


def test_full_lock_is_allowed_up_to_the_speed_where_it_becomes_too_sharp():
    turning = math.sqrt(4.0 * 2.6 / math.tan(0.61))
    assert lateral_steer_limit(turning - 1e-6, LIMITS, VEHICLE) == 1.0
    assert lateral_steer_limit(-turning - 0.1, LIMITS, VEHICLE) < 1.0
    faster = lateral_steer_limit(10.0, LIMITS, VEHICLE)
    assert lateral_acceleration(faster, 10.0, VEHICLE) == pytest.approx(4.0)
    assert lateral_acceleration(-faster, 10.0, VEHICLE) == pytest.approx(4.0)


@pytest.mark.parametrize("bad", [Command(float("nan"), 0.0), Command(0.0, float("inf"))])
def test_limits_refuse_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="not finite"):
        limit_command(bad, Command(), 5.0, 0.1, LIMITS, VEHICLE)
    with pytest.raises(ValueError, match="not finite"):
        limit_command(Command(), Command(), float("nan"), 0.1, LIMITS, VEHICLE)


@settings(deadline=None)
@given(st.floats(-8.0, 4.5))
def test_pedal_is_the_inverse_of_acceleration(wanted):
    assert acceleration(Command(accel=pedal(wanted, VEHICLE)), VEHICLE) == pytest.approx(wanted)


def test_emergency_stop_distance_matches_the_closed_form():
    """From 15 m/s at -2.5 m/s^2 with jerk -1.5 m/s^3: 57.2 m (45.0 m without the jerk)."""
    ramp_s = 2.5 / 1.5
    ramp_m = 15.0 * ramp_s - 1.5 * ramp_s**3 / 6.0
    closed_form = ramp_m + (15.0 - 0.5 * 1.5 * ramp_s**2) ** 2 / (2.0 * 2.5)
    assert closed_form == pytest.approx(57.2, abs=0.05)
    speed, distance, step, command = 15.0, 0.0, 0.02, Command(accel=0.4)
    while speed > 0.0:
        command = brake_command(GateState.EMERGENCY_STOP, command, step, MANOEUVRE, VEHICLE)
        distance += speed * step
        speed += acceleration(command, VEHICLE) * step
    assert distance == pytest.approx(closed_form, rel=0.02)


@pytest.mark.parametrize(
    "state, accel, jerk", [("COMFORT_STOP", -1.0, -0.3), ("EMERGENCY_STOP", -2.5, -1.5)]
)
def test_a_stop_builds_up_with_its_jerk_to_its_deceleration(state, accel, jerk):
    command = Command(0.2, 0.5)
    for k in range(1, 60):
        command = brake_command(GateState[state], command, 0.1, MANOEUVRE, VEHICLE)
        wanted = max(accel, 0.1 * k * jerk)
        assert command.accel == pytest.approx(wanted / 8.0)
        assert command.steer == pytest.approx(0.2 * math.exp(-0.1 * k / 2.0))


def test_hold_brakes_at_once_and_odd_steps_are_kept_in_bounds():
    for state in (GateState.HOLD, GateState.WAITING):
        command = brake_command(state, Command(0.2, 0.5), 0.1, MANOEUVRE, VEHICLE)
        assert command.accel == pytest.approx(-1.5 / 8.0)
    for step, taken in ((-5.0, 0.02), (0.02, 0.02), (0.4, 0.4), (9.0, 0.5)):
        command = brake_command(GateState.EMERGENCY_STOP, Command(), step, MANOEUVRE, VEHICLE)
        assert command.accel == pytest.approx(-1.5 * taken / 8.0)


def test_a_manoeuvre_never_brakes_less_than_before_and_lets_the_steering_fade():
    hard = Command(steer=0.4, accel=-0.8)
    for state in (GateState.COMFORT_STOP, GateState.EMERGENCY_STOP, GateState.HOLD):
        command = brake_command(state, hard, 0.1, MANOEUVRE, VEHICLE)
        assert command.accel == pytest.approx(-0.8)
        assert 0.0 < command.steer < 0.4
