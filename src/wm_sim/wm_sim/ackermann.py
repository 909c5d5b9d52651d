"""Ackermann commands (steering angle, speed, acceleration) to throttle, brake and steering.

The cascade of CARLA's ``carla_ackermann_control``, with its gains and limits: a PID on speed moves
the target of the acceleration, a PID on acceleration moves the pedals. Like there,

- an acceleration of 1 m/s^2 or more is followed as it is, and the speed only says "stop" when it
  is zero; with less, or none, the speed is followed and the acceleration is a limit;
- the acceleration is a smoothed difference of speeds;
- the direction of travel changes only at standstill.

Its gains belong to 20 Hz; here they are scaled to the length of a frame. Unlike there, the speed
that it knows has a sign, so reversing works.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from wm_perception.frame import Command

SPEED_KP, SPEED_KD = 0.05, 0.5
ACCEL_KP, ACCEL_KD = 0.05, 0.05
MAX_STEP = 1.0  # of either PID
PERIOD_S = 0.05  # to which gains, smoothing and steps belong
ACCEL_KEPT = 0.8  # of the smoothed acceleration, per period
MAX_SPEED_MPS, MAX_ACCEL_MPS2, MAX_DECEL_MPS2 = 50.0, 3.0, 8.0
MAX_PEDAL = min(MAX_ACCEL_MPS2, MAX_DECEL_MPS2)
DIRECT_MPS2 = 1.0  # accelerations from here on are followed as they are
SWITCH_S = 5 * PERIOD_S  # before the speed is followed again
STANDING_MPS, FULL_STOP_MPS = 0.1, 1e-5
# What slows a car without pedals: rolling resistance, air (0.5 * density * cd * area), engine.
ROLLING_MPS2, AIR_N_PER_MPS2, ENGINE_N = 0.0981, 0.5 * 1.184 * 0.3 * 2.37, 500.0


@dataclass(frozen=True)
class AckermannTarget:
    """What is asked for.

    Attributes:
        angle: of the front wheels, left positive, rad.
        speed_mps: negative is backwards.
        accel_mps2: along the direction of travel; 0 means the vehicle's own limits.
    """

    angle: float
    speed_mps: float
    accel_mps2: float = 0.0


def _clip(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


class AckermannControl:
    """Follows one target after the other; call :meth:`command` once per frame.

    Args:
        frame_dt: s per frame.
        max_steer_rad: full lock of the front wheels.
        mass_kg: of the vehicle.
    """

    def __init__(self, frame_dt: float, max_steer_rad: float, mass_kg: float):
        self._dt, self._periods = frame_dt, frame_dt / PERIOD_S
        self._max_steer, self._mass = max_steer_rad, mass_kg
        self._backwards = False
        self.reset()

    def reset(self) -> None:
        """The vehicle stands, or is another one: nothing is left of the past."""
        self._accel_target = self._pedal = self._accel = self._moderate_s = 0.0
        self._speed: float | None = None

    def command(self, target: AckermannTarget, speed_mps: float) -> Command:
        """The command for this frame.

        Args:
            target: what is asked for.
            speed_mps: signed forward speed.

        Raises:
            ValueError: a number is not finite.
        """
        numbers = (target.angle, target.speed_mps, target.accel_mps2, speed_mps)
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"ackermann command or speed is not finite: {target}")
        steer = _clip(target.angle / self._max_steer, -1.0, 1.0)
        wanted = _clip(abs(target.speed_mps), 0.0, MAX_SPEED_MPS)
        if abs(speed_mps) < STANDING_MPS:
            if wanted < FULL_STOP_MPS:
                self.reset()
                return Command(steer, -1.0, self._backwards)
            self._backwards = target.speed_mps < 0.0
        elif speed_mps * target.speed_mps < 0.0:
            wanted = 0.0  # stop before turning round
        accel = target.accel_mps2 if wanted >= FULL_STOP_MPS else -MAX_DECEL_MPS2
        self._cascade(
            wanted,
            _clip(accel, -MAX_DECEL_MPS2, MAX_ACCEL_MPS2),
            -speed_mps if self._backwards else speed_mps,
        )
        return Command(steer, self._pedals(speed_mps), self._backwards)

    def _cascade(self, wanted: float, accel: float, speed: float) -> None:
        """Move the targets of acceleration and pedal; all along the direction of travel."""
        speed_rate = 0.0 if self._speed is None else (speed - self._speed) / self._dt
        self._speed, before = speed, self._accel
        kept = ACCEL_KEPT**self._periods
        self._accel = kept * before + (1.0 - kept) * speed_rate
        moderate = abs(accel) < DIRECT_MPS2
        change_s = self._dt if moderate else -self._dt
        self._moderate_s = _clip(self._moderate_s + change_s, 0.0, SWITCH_S)
        if self._moderate_s == SWITCH_S:
            step = self._step(SPEED_KP * (wanted - speed) - SPEED_KD * speed_rate)
            low, high = -(abs(accel) or MAX_DECEL_MPS2), abs(accel) or MAX_ACCEL_MPS2
            self._accel_target = _clip(self._accel_target + step, low, high)
        else:
            self._accel_target = accel
        accel_rate = (self._accel - before) / self._dt
        step = self._step(ACCEL_KP * (self._accel_target - self._accel) - ACCEL_KD * accel_rate)
        self._pedal = _clip(self._pedal + step, -MAX_PEDAL, MAX_PEDAL)

    def _step(self, change: float) -> float:
        return self._periods * _clip(change, -MAX_STEP, MAX_STEP)

    def _pedals(self, speed_mps: float) -> float:
        """Throttle above what keeps the speed, brake below what the engine takes away, else none.

        Returns:
            Throttle if positive, brake if negative, in [-1, 1].
        """
        throttle_from = -ROLLING_MPS2 - AIR_N_PER_MPS2 * speed_mps**2 / self._mass
        brake_from = throttle_from - ENGINE_N / self._mass
        over = max(0.0, self._pedal - throttle_from) + min(0.0, self._pedal - brake_from)
        return _clip(over / MAX_PEDAL, -1.0, 1.0)
