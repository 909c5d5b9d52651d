"""The ego vehicle's equations: CommonRoad's single-track model, written out for speed.

Equations and parameters are those of ``commonroad-vehicle-models`` (M. Althoff and G. Würsching,
"CommonRoad: Vehicle Models", 2020; ``vehicle_dynamics_st``, ``vehicle_dynamics_ks_cog``, vehicle 2,
a BMW 320i); a test compares the two. Below 4 m/s and in reverse the kinematic model is used,
because the single-track model is too stiff for explicit Euler steps there.

On a dry road the tyres are CommonRoad's: linear, whatever the slip. With less grip (rain, or the
second after an impact) cornering stiffness falls with it, and each axle's force ends at what
friction carries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from wm_perception.conventions import wrap_angle
from wm_perception.frame import Command

# CommonRoad vehicle 2
GRAVITY = 9.81
MASS_KG = 1093.2952334674046
YAW_INERTIA = 1791.5995300122856
FRONT_M = 1.1561957064  # centre of gravity to front axle
REAR_M = 1.4227170936  # centre of gravity to rear axle
HEIGHT_M = 0.61373004
FRICTION = 1.0489  # tire.p_dy1
CORNERING = 21.92 / 1.0489  # -tire.p_ky1 / tire.p_dy1
WHEELBASE_M = FRONT_M + REAR_M

# Ours
LENGTH_M, WIDTH_M = 4.5, 1.85
MAX_STEER_RAD = 0.61  # road-wheel angle at steer = 1, 35 degrees
MAX_STEER_RATE = 0.8  # rad/s at the road wheels
STEER_GAIN = 12.0  # 1/s, how fast the actuator closes the angle error
MAX_THROTTLE_MPS2 = 4.5
POWER_PER_MASS = 50.0  # W/kg: throttle above 11 m/s is limited by power
MAX_BRAKE_MPS2 = 8.0
MAX_REVERSE_MPS = 5.0
ROLLING_MPS2 = 0.15
DRAG_PER_S = 0.02
KINEMATIC_BELOW_MPS = 4.0
SUBSTEP_S = 0.01


class VehicleState(NamedTuple):  # one is made in every substep, and a tuple is made fastest
    """State of the single-track model; the reference point is the centre of gravity.

    Attributes:
        x, y: map frame, m.
        steer_rad: road-wheel angle, left-positive.
        speed: m/s, along the velocity vector.
        yaw: rad, in [-pi, pi).
        yaw_rate: rad/s.
        slip: side-slip angle, rad.
    """

    x: float
    y: float
    steer_rad: float = 0.0
    speed: float = 0.0
    yaw: float = 0.0
    yaw_rate: float = 0.0
    slip: float = 0.0


def derivatives_kinematic(
    state: VehicleState, steer_rate: float, accel: float
) -> tuple[float, float, float, float, float]:
    """d/dt of (x, y, steer, speed, yaw) of the kinematic model."""
    tan = math.tan(state.steer_rad)
    slip = math.atan(tan * REAR_M / WHEELBASE_M)
    course = slip + state.yaw
    return (
        state.speed * math.cos(course),
        state.speed * math.sin(course),
        steer_rate,
        accel,
        state.speed * math.cos(slip) * tan / WHEELBASE_M,
    )


def derivatives_single_track(
    state: VehicleState, steer_rate: float, accel: float
) -> tuple[float, float, float, float, float, float, float]:
    """d/dt of (x, y, steer, speed, yaw, yaw_rate, slip) of the single-track model."""
    v, yaw_rate, slip = state.speed, state.yaw_rate, state.slip
    front = CORNERING * (GRAVITY * REAR_M - accel * HEIGHT_M)  # axle loads with load transfer
    rear = CORNERING * (GRAVITY * FRONT_M + accel * HEIGHT_M)
    grip = FRICTION / WHEELBASE_M
    moment = grip * MASS_KG / YAW_INERTIA
    course = slip + state.yaw
    return (
        v * math.cos(course),
        v * math.sin(course),
        steer_rate,
        accel,
        yaw_rate,
        -moment / v * (FRONT_M**2 * front + REAR_M**2 * rear) * yaw_rate
        + moment * (REAR_M * rear - FRONT_M * front) * slip
        + moment * FRONT_M * front * state.steer_rad,
        (grip / v**2 * (rear * REAR_M - front * FRONT_M) - 1.0) * yaw_rate
        - grip / v * (rear + front) * slip
        + grip / v * front * state.steer_rad,
    )


def derivatives_sliding(
    state: VehicleState, steer_rate: float, accel: float, grip: float
) -> tuple[float, float, float, float, float, float, float]:
    """As :func:`derivatives_single_track` with a fraction ``grip`` of the friction.

    The axles' lateral forces are linear in their slip angles with a stiffness proportional to the
    friction, and end at friction times load.
    """
    v, yaw_rate, slip = state.speed, state.yaw_rate, state.slip
    friction = FRICTION * grip
    front_load = (GRAVITY * REAR_M - accel * HEIGHT_M) / WHEELBASE_M  # per kg of the vehicle
    rear_load = (GRAVITY * FRONT_M + accel * HEIGHT_M) / WHEELBASE_M
    front_slip = state.steer_rad - slip - FRONT_M * yaw_rate / v
    rear_slip = REAR_M * yaw_rate / v - slip
    front = friction * front_load * min(1.0, max(-1.0, CORNERING * front_slip))
    rear = friction * rear_load * min(1.0, max(-1.0, CORNERING * rear_slip))
    course = slip + state.yaw
    return (
        v * math.cos(course),
        v * math.sin(course),
        steer_rate,
        accel,
        yaw_rate,
        MASS_KG / YAW_INERTIA * (FRONT_M * front - REAR_M * rear),
        (front + rear) / v - yaw_rate,
    )


def longitudinal_accel(command: Command, speed: float, grip: float = 1.0) -> float:
    """Acceleration (m/s^2) that a pedal position gives at a signed speed.

    The throttle pulls in the direction of the gear, brake and resistance only slow down. The brakes
    work on all wheels, the engine on the rear ones; both end at friction.
    """
    pedal = min(1.0, max(-1.0, command.accel))
    gear = -1.0 if command.reverse else 1.0
    along = gear * speed
    friction = FRICTION * GRAVITY * grip
    resistance = DRAG_PER_S * abs(speed) + (ROLLING_MPS2 if abs(speed) > 0.1 else 0.0)
    if pedal > 0.0:
        pull = min(MAX_THROTTLE_MPS2, POWER_PER_MASS / max(abs(speed), 2.0))
        pull = min(pull, friction * FRONT_M / WHEELBASE_M)
        if command.reverse and along >= MAX_REVERSE_MPS:
            pull = 0.0
        accel = pedal * pull
    else:
        accel = pedal * min(MAX_BRAKE_MPS2, friction)
    if along >= 0.0:
        accel -= resistance
        return gear * max(accel, -along / SUBSTEP_S)
    slowing = abs(accel) + resistance  # rolls against the gear
    return gear * (slowing if pedal > 0.0 else min(slowing, -along / SUBSTEP_S))


def substep(state: VehicleState, command: Command, grip: float = 1.0) -> VehicleState:
    """Advance the vehicle by ``SUBSTEP_S`` (explicit Euler)."""
    target = MAX_STEER_RAD * min(1.0, max(-1.0, command.steer))
    wanted = STEER_GAIN * (target - state.steer_rad)
    steer_rate = min(MAX_STEER_RATE, max(-MAX_STEER_RATE, wanted))
    accel = longitudinal_accel(command, state.speed, grip)
    h = SUBSTEP_S
    if state.speed < KINEMATIC_BELOW_MPS:
        dx, dy, dsteer, dv, dyaw = derivatives_kinematic(state, steer_rate, accel)
        steer, speed = state.steer_rad + h * dsteer, _next_speed(state.speed, h * dv, command)
        tan = math.tan(steer)
        slip = math.atan(tan * REAR_M / WHEELBASE_M)
        yaw_rate = speed * math.cos(slip) * tan / WHEELBASE_M
    else:
        rates = (
            derivatives_single_track(state, steer_rate, accel)
            if grip == 1.0
            else derivatives_sliding(state, steer_rate, accel, grip)
        )
        dx, dy, dsteer, dv, dyaw, dyaw_rate, dslip = rates
        steer, speed = state.steer_rad + h * dsteer, _next_speed(state.speed, h * dv, command)
        yaw_rate, slip = state.yaw_rate + h * dyaw_rate, state.slip + h * dslip
    return VehicleState(
        state.x + h * dx,
        state.y + h * dy,
        steer,
        speed,
        wrap_angle(state.yaw + h * dyaw),
        yaw_rate,
        slip,
    )


def _next_speed(speed: float, change: float, command: Command) -> float:
    """Rounding must not turn a stop into a crawl against the gear."""
    after = speed + change
    if command.reverse:
        return min(0.0, after) if speed <= 0.0 else after
    return max(0.0, after) if speed >= 0.0 else after
