"""The ego vehicle: CommonRoad's single-track model, written out for speed.

Equations and parameters are those of ``commonroad-vehicle-models`` (M. Althoff and G. Würsching,
"CommonRoad: Vehicle Models", 2020; ``vehicle_dynamics_st``, ``vehicle_dynamics_ks_cog``, vehicle 2,
a BMW 320i); a test compares the two. Below 4 m/s the kinematic model is used, because the
single-track model is too stiff for explicit Euler steps there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from wm_perception.conventions import wrap_angle
from wm_perception.frame import Command, EgoState

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
ROLLING_MPS2 = 0.15
DRAG_PER_S = 0.02
KINEMATIC_BELOW_MPS = 4.0
SUBSTEP_S = 0.01


@dataclass(frozen=True)
class VehicleState:
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


def longitudinal_accel(command: Command, speed: float) -> float:
    """Acceleration (m/s^2) that a pedal position gives at a speed; it never drives backwards."""
    pedal = min(1.0, max(-1.0, command.accel))
    if pedal > 0.0:
        accel = pedal * min(MAX_THROTTLE_MPS2, POWER_PER_MASS / max(speed, 2.0))
    else:
        accel = pedal * MAX_BRAKE_MPS2
    accel -= DRAG_PER_S * speed + (ROLLING_MPS2 if speed > 0.1 else 0.0)
    return max(accel, -speed / SUBSTEP_S)


def substep(state: VehicleState, command: Command) -> VehicleState:
    """Advance the vehicle by ``SUBSTEP_S`` (explicit Euler)."""
    target = MAX_STEER_RAD * min(1.0, max(-1.0, command.steer))
    wanted = STEER_GAIN * (target - state.steer_rad)
    steer_rate = min(MAX_STEER_RATE, max(-MAX_STEER_RATE, wanted))
    accel = longitudinal_accel(command, state.speed)
    h = SUBSTEP_S
    if state.speed < KINEMATIC_BELOW_MPS:
        dx, dy, dsteer, dv, dyaw = derivatives_kinematic(state, steer_rate, accel)
        steer, speed = state.steer_rad + h * dsteer, max(0.0, state.speed + h * dv)
        tan = math.tan(steer)
        slip = math.atan(tan * REAR_M / WHEELBASE_M)
        yaw_rate = speed * math.cos(slip) * tan / WHEELBASE_M
    else:
        dx, dy, dsteer, dv, dyaw, dyaw_rate, dslip = derivatives_single_track(
            state, steer_rate, accel
        )
        steer, speed = state.steer_rad + h * dsteer, max(0.0, state.speed + h * dv)
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


class Vehicle:
    """The ego vehicle over frames; deterministic.

    Args:
        state: where it starts.
    """

    def __init__(self, state: VehicleState) -> None:
        self.state = state
        self.accel_mps2 = 0.0
        self.command = Command()

    def step(self, command: Command, dt: float) -> None:
        """Hold a command for ``dt`` seconds.

        Raises:
            ValueError: the command is not finite.
        """
        if not (math.isfinite(command.steer) and math.isfinite(command.accel)):
            raise ValueError(f"command is not finite: {command}")
        before = self.state.speed
        for _ in range(max(1, round(dt / SUBSTEP_S))):
            self.state = substep(self.state, command)
        self.accel_mps2 = (self.state.speed - before) / dt
        self.command = command

    def halt(self) -> None:
        """Stop at once where it is (an impact)."""
        s = self.state
        self.state = VehicleState(s.x, s.y, s.steer_rad, 0.0, s.yaw)

    def ego(self) -> EgoState:
        """The vehicle as the rest of the stack sees it."""
        s = self.state
        forward = s.speed * math.cos(s.slip)
        return EgoState(
            s.x, s.y, s.yaw, forward, s.yaw_rate, self.accel_mps2, self.command, LENGTH_M, WIDTH_M
        )
