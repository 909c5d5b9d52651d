"""Limits and parameters of the safety gate, each with its source.

``config/gate.yaml`` and the gate node's ROS parameters are read into :class:`GateConfig`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

# --- Acceptance of commands -----------------------------------------------------------------------
# Autoware vehicle_cmd_gate, nominal table: lateral acceleration 5 m/s^2 near standstill, 4 at
# 30 m/s. Above openpilot's ISO 11270 value of 3.0 on purpose: the planner's own comfort cost acts
# from 2.2, so normal driving never meets this limit.
LATERAL_ACCELERATION_MPS2 = 4.0
# Autoware's nominal steer rate is 1.0 rad/s at the road wheel, and actuators do no more (embedded
# simulator: 0.8). A command may lead its actuator, so 1.5 passes all that a vehicle can follow and
# stops only sign-to-sign jumps, which are a fault of the planner.
STEER_RATE_RADPS = 1.5
# Autoware allows a longitudinal jerk of 80 m/s^3 near standstill. Releasing the brake and opening
# the throttle get half of it; braking gets full effect within one 10 Hz frame, because a gate that
# delays braking does harm.
JERK_UP_MPS3 = 40.0
JERK_DOWN_MPS3 = 80.0

# Bounds of what a pedal may mean. Autoware's nominal table ends at 5 m/s^2; its trajectory checker
# takes 9.8 for more than a car can do. A passenger car's pedals stay inside.
ACCELERATION_MPS2 = 5.0
BRAKING_MPS2 = 9.8

# --- Plausibility ---------------------------------------------------------------------------------
PLAUSIBLE_SPEED_MPS = 100.0  # a measured speed beyond this is treated like one that is not finite

# --- Timing ---------------------------------------------------------------------------------------
# Autoware gate heartbeat 0.5 s, less a tick and the way of the command: brakes within 0.5 s.
HEARTBEAT_S = 0.45
ODOMETRY_WARN_S = 0.2  # stale odometry is reported; the command is held for as long again ...
ODOMETRY_STOP_S = 0.4  # ... and then the vehicle is stopped
OBJECTS_STALE_S = 0.5  # road users older than this are not judged by

# --- Minimal-risk manoeuvre (Autoware MRM operators) ----------------------------------------------
COMFORT_MPS2, COMFORT_JERK_MPS3 = -1.0, -0.3
EMERGENCY_MPS2, EMERGENCY_JERK_MPS3 = -2.5, -1.5
HOLD_MPS2 = -1.5  # Autoware's stop-hold acceleration
STANDSTILL_MPS = 0.1

# --- Pedals: acceleration of a full pedal, at low speed on the flat -------------------------------
# Measured on the embedded simulator's vehicle; CARLA's passenger cars are close. Only the manoeuvre
# and the jerk limit depend on them.
THROTTLE_GAIN_MPS2 = 4.5
BRAKE_GAIN_MPS2 = 8.0


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LimitsConfig(_Section):
    """What a command may ask for. A finite command beyond a limit is clamped and counted."""

    acceleration_mps2: float = Field(ACCELERATION_MPS2, gt=0, description="throttle, m/s^2")
    braking_mps2: float = Field(BRAKING_MPS2, gt=0, description="brake, m/s^2")
    steer_rate_radps: float = Field(STEER_RATE_RADPS, gt=0, description="road wheel, rad/s")
    lateral_acceleration_mps2: float = Field(
        LATERAL_ACCELERATION_MPS2, gt=0, description="speed^2 * curvature of the steering, m/s^2"
    )
    jerk_up_mps3: float = Field(JERK_UP_MPS3, gt=0, description="throttle on, brake off, m/s^3")
    jerk_down_mps3: float = Field(JERK_DOWN_MPS3, gt=0, description="brake on, m/s^3")
    persistent_count: int = Field(
        5,
        ge=1,
        description="more clamped frames, or more frames with contradictory proposals, within one "
        "second are persistent",
    )
    persistent_stops: bool = Field(
        True, description="what is persistent starts a comfort stop; off: it is reported"
    )


class TimingConfig(_Section):
    """How old things may be: wall time while the simulation runs; road users by their stamp."""

    heartbeat_s: float = Field(HEARTBEAT_S, gt=0, description="longest wait for a proposal, s")
    odometry_warn_s: float = Field(ODOMETRY_WARN_S, gt=0, description="age that is reported, s")
    odometry_stop_s: float = Field(ODOMETRY_STOP_S, gt=0, description="age that stops the car, s")
    objects_stale_s: float = Field(
        OBJECTS_STALE_S, gt=0, description="road users older than this are reported and left out, s"
    )
    manoeuvre_patience_s: float = Field(
        0.1,
        ge=0,
        description="during a manoeuvre, wait this long for the planner before answering a frame, "
        "so that the simulation never runs ahead of real time and a revived planner can keep up; "
        "0 answers at once",
    )
    future_s: float = Field(
        0.5, gt=0, description="a proposal stamped further ahead of the measurements is refused, s"
    )


class ManoeuvreConfig(_Section):
    """The minimal-risk manoeuvre: comfort, emergency, hold."""

    comfort_mps2: float = Field(COMFORT_MPS2, lt=0)
    comfort_jerk_mps3: float = Field(COMFORT_JERK_MPS3, lt=0)
    emergency_mps2: float = Field(EMERGENCY_MPS2, lt=0)
    emergency_jerk_mps3: float = Field(EMERGENCY_JERK_MPS3, lt=0)
    hold_mps2: float = Field(HOLD_MPS2, lt=0)
    standstill_mps: float = Field(STANDSTILL_MPS, gt=0, description="slower than this is standing")
    steer_decay_s: float = Field(
        2.0, gt=0, description="time constant with which the last good steering fades out, s"
    )
    escalate_after: int = Field(3, ge=1, description="bad proposals in a row: comfort -> emergency")
    rearm_after: int = Field(5, ge=1, description="good proposals in a row that end the manoeuvre")
    rearm_after_request: int = Field(
        20, ge=1, description="the same, after the planner itself asked for the stop"
    )


class VehicleConfig(_Section):
    """Geometry and pedals; vehicle_info, where published, replaces the geometry."""

    max_steer_rad: float = Field(0.61, gt=0, lt=1.5, description="front wheels at full lock")
    wheelbase_m: float = Field(2.6, gt=0)
    length_m: float = Field(4.5, gt=0, description="bumper to bumper")
    width_m: float = Field(1.85, gt=0)
    throttle_gain_mps2: float = Field(THROTTLE_GAIN_MPS2, gt=0)
    brake_gain_mps2: float = Field(BRAKE_GAIN_MPS2, gt=0)


class RssConfig(_Section):
    """Responsibility-sensitive safety: reported. Defaults: ad-rss-lib's suggested start.

    City traffic keeps less than this all day, careful drivers included (docs/gate.md), so nothing
    acts on it.
    """

    response_s: float = Field(1.0, ge=0, description="rho of the ego, s")
    other_response_s: float = Field(2.0, ge=0, description="rho of others, s")
    accel_mps2: float = Field(3.5, ge=0, description="worst acceleration during rho")
    brake_min_mps2: float = Field(4.0, gt=0, description="braking after rho")
    brake_max_mps2: float = Field(8.0, gt=0, description="a leader's hardest braking")
    brake_correct_mps2: float = Field(
        3.0, gt=0, description="own braking for one who comes against us in our lane"
    )
    lateral_accel_mps2: float = Field(0.2, ge=0, description="worst sideways, during rho")
    lateral_brake_mps2: float = Field(0.8, gt=0, description="sideways braking after rho")
    lateral_margin_m: float = Field(0.1, ge=0, description="mu: room that swaying takes")


class LastResortConfig(RssConfig):
    """RSS with the gate's own response time and the brake that a car has: the gate acts on it.

    Below this room a collision can only just be prevented, so no ordinary drive comes here
    (docs/gate.md has the figures).
    """

    # Three 10 Hz frames: measurement, command, brake pressure.
    response_s: float = Field(0.3, ge=0, description="rho of the ego, s")
    other_response_s: float = Field(0.3, ge=0, description="rho of others, s")
    accel_mps2: float = Field(0.5, ge=0, description="acceleration during rho")
    # A dry road gives 8; Autoware's AEB trusts in 3.
    brake_min_mps2: float = Field(6.0, gt=0, description="braking after rho")
    brake_correct_mps2: float = Field(
        6.0, gt=0, description="own braking for one who comes against us in our lane"
    )
    lateral_accel_mps2: float = Field(0.1, ge=0, description="worst sideways, during rho")
    # People and cars that turn stop sideways motion about as fast as cars brake.
    lateral_brake_mps2: float = Field(4.0, gt=0, description="sideways braking after rho")
    standoff_m: float = Field(0.5, ge=0, description="room to be left when both have stopped")
    brakes: bool = Field(
        True, description="brake as hard as it takes while the room is too small; off: report"
    )


class GateConfig(_Section):
    """All parameters of the safety gate."""

    limits: LimitsConfig = LimitsConfig()
    timing: TimingConfig = TimingConfig()
    manoeuvre: ManoeuvreConfig = ManoeuvreConfig()
    vehicle: VehicleConfig = VehicleConfig()
    rss: RssConfig = RssConfig()
    last_resort: LastResortConfig = LastResortConfig()
