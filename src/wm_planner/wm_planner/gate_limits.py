"""Command limits of the safety gate: pure functions of a command, the one before, and the speed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wm_perception.frame import Command
from wm_planner.gate_config import LimitsConfig, VehicleConfig
from wm_planner.gate_rules import Rule

# Frames closer or farther apart than this are treated as if they were this far apart, so that a
# stamp glitch neither freezes the command nor opens the rate limits.
MIN_STEP_S, MAX_STEP_S = 0.02, 0.5


@dataclass(frozen=True)
class Limited:
    """A command within all limits, the rules it was checked by, and whether one changed it."""

    command: Command
    rules: tuple[Rule, ...]
    clamped: bool


def acceleration(command: Command, vehicle: VehicleConfig) -> float:
    """Pedal position -> acceleration it asks for, m/s^2."""
    gain = vehicle.throttle_gain_mps2 if command.accel > 0.0 else vehicle.brake_gain_mps2
    return command.accel * gain


def pedal(acceleration_mps2: float, vehicle: VehicleConfig) -> float:
    """Inverse of :func:`acceleration`, clipped to [-1, 1]."""
    up = acceleration_mps2 > 0.0
    gain = vehicle.throttle_gain_mps2 if up else vehicle.brake_gain_mps2
    return min(1.0, max(-1.0, acceleration_mps2 / gain))


def lateral_steer_limit(speed_mps: float, limits: LimitsConfig, vehicle: VehicleConfig) -> float:
    """Largest |steer| whose kinematic curvature keeps speed^2 * curvature within the limit."""
    squared = speed_mps * speed_mps
    if squared * math.tan(vehicle.max_steer_rad) <= (
        limits.lateral_acceleration_mps2 * vehicle.wheelbase_m
    ):
        return 1.0
    angle = math.atan(limits.lateral_acceleration_mps2 * vehicle.wheelbase_m / squared)
    return angle / vehicle.max_steer_rad


def lateral_acceleration(steer: float, speed_mps: float, vehicle: VehicleConfig) -> float:
    """Speed^2 * curvature of the steering, kinematic single-track model, m/s^2, not negative."""
    return (
        speed_mps * speed_mps * math.tan(abs(steer) * vehicle.max_steer_rad) / vehicle.wheelbase_m
    )


def limit_command(
    wanted: Command,
    before: Command,
    speed_mps: float,
    step_s: float,
    limits: LimitsConfig,
    vehicle: VehicleConfig,
) -> Limited:
    """Clamp a finite command to the limits.

    The rate limits win over the lateral one: when the speed measurement jumps, the steering moves
    towards the allowed angle at the allowed rate instead of snapping to it.

    Args:
        wanted: what the planner asks for; finite.
        before: the command in force now, within limits.
        speed_mps: measured speed; finite.
        step_s: time since ``before`` took effect, s.
        limits, vehicle: parameters.

    Raises:
        ValueError: the wanted command or the speed is not finite: a NaN is never clamped.
    """
    if not all(map(math.isfinite, (wanted.steer, wanted.accel, speed_mps))):
        raise ValueError(f"cannot limit a command that is not finite: {wanted}, {speed_mps} m/s")
    step = min(MAX_STEP_S, max(MIN_STEP_S, step_s))
    allowed = min(1.0, lateral_steer_limit(speed_mps, limits, vehicle))
    reach = limits.steer_rate_radps / vehicle.max_steer_rad * step
    steer = min(allowed, max(-allowed, wanted.steer))
    steer = min(before.steer + reach, max(before.steer - reach, steer))

    asked = min(1.0, max(-1.0, wanted.accel))
    asked_mps2 = acceleration(Command(accel=asked), vehicle)
    before_mps2 = acceleration(before, vehicle)
    highest = min(limits.acceleration_mps2, before_mps2 + limits.jerk_up_mps3 * step)
    lowest = max(-limits.braking_mps2, before_mps2 - limits.jerk_down_mps3 * step)
    given_mps2 = min(highest, max(lowest, asked_mps2))
    accel = asked if given_mps2 == asked_mps2 else pedal(given_mps2, vehicle)

    rate = (wanted.steer - before.steer) * vehicle.max_steer_rad / step
    jerk = (asked_mps2 - before_mps2) / step
    sideways = lateral_acceleration(min(1.0, abs(wanted.steer)), speed_mps, vehicle)
    strongest = limits.acceleration_mps2 if asked_mps2 > 0 else limits.braking_mps2
    sharpest = limits.jerk_up_mps3 if jerk > 0 else limits.jerk_down_mps3
    rules = (
        _rule("steer", abs(wanted.steer), 1.0, "1"),
        _rule("pedal", abs(wanted.accel), 1.0, "1"),
        _rule("acceleration", abs(asked_mps2), strongest, "m/s^2"),
        _rule("steer_rate", abs(rate), limits.steer_rate_radps, "rad/s"),
        _rule("lateral_acceleration", sideways, limits.lateral_acceleration_mps2, "m/s^2"),
        _rule("jerk", abs(jerk), sharpest, "m/s^3"),
    )
    return Limited(Command(steer, accel), rules, steer != wanted.steer or accel != wanted.accel)


def _rule(name: str, value: float, limit: float, unit: str) -> Rule:
    return Rule(name, value, limit, value > limit * (1.0 + 1e-6), unit)
