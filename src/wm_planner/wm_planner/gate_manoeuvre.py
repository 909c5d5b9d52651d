"""The minimal-risk manoeuvre: brake along the last good steering, gently, hard, or to stay put."""

from __future__ import annotations

import math

from wm_perception.frame import Command
from wm_planner.gate_config import ManoeuvreConfig, VehicleConfig
from wm_planner.gate_limits import MAX_STEP_S, MIN_STEP_S, acceleration, pedal
from wm_planner.gate_state import GateState


def brake_command(
    state: GateState,
    before: Command,
    step_s: float,
    config: ManoeuvreConfig,
    vehicle: VehicleConfig,
) -> Command:
    """The manoeuvre's next command.

    The throttle is released at once; the deceleration builds up with the state's jerk to the
    state's value and never becomes weaker than it was. The brake pedal is the deceleration over
    ``vehicle.brake_gain_mps2``: 1.0 asks for about 8 m/s^2. The steering fades out.

    Args:
        state: COMFORT_STOP or EMERGENCY_STOP; any other state holds the brake.
        before: the command in force now, finite.
        step_s: simulated time since then, s.
        config, vehicle: parameters.
    """
    step = min(MAX_STEP_S, max(MIN_STEP_S, step_s))
    braking = min(0.0, acceleration(before, vehicle))
    if state is GateState.COMFORT_STOP:
        wanted = max(config.comfort_mps2, braking + config.comfort_jerk_mps3 * step)
    elif state is GateState.EMERGENCY_STOP:
        wanted = max(config.emergency_mps2, braking + config.emergency_jerk_mps3 * step)
    else:
        wanted = config.hold_mps2
    steer = before.steer * math.exp(-step / config.steer_decay_s)
    return Command(steer, pedal(min(braking, wanted), vehicle))
