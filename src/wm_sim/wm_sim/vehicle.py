"""The ego vehicle over frames: the single-track model, and what impacts do to it.

What an impact adds sideways is kept apart from the model as a slide, which friction uses up.
"""

from __future__ import annotations

import math

import numpy as np

from wm_perception.conventions import wrap_angle
from wm_perception.frame import Command, EgoState
from wm_sim.single_track import (
    FRICTION,
    FRONT_M,
    GRAVITY,
    LENGTH_M,
    MASS_KG,
    MAX_STEER_RAD,
    REAR_M,
    SUBSTEP_S,
    WHEELBASE_M,
    WIDTH_M,
    YAW_INERTIA,
    VehicleState,
    substep,
)

__all__ = [
    "FRONT_M",
    "LENGTH_M",
    "MASS_KG",
    "MAX_STEER_RAD",
    "REAR_M",
    "WHEELBASE_M",
    "WIDTH_M",
    "YAW_INERTIA",
    "Vehicle",
    "VehicleState",
    "check_command",
]

SPIN_DECAY_M = 2.0  # lever arm of friction against a spin; half the length of the body
IMPACT_GRIP, IMPACT_GRIP_S = 0.3, 1.0  # of the friction is left for this long after an impact


def check_command(command: Command) -> None:
    """Refuse a command that is no number: a NaN must never be clamped into a pedal.

    Raises:
        ValueError: the command is not finite.
    """
    if not (math.isfinite(command.steer) and math.isfinite(command.accel)):
        raise ValueError(f"command is not finite: {command}")


def _towards_zero(value: float, amount: float) -> float:
    return math.copysign(max(0.0, abs(value) - amount), value)


class Vehicle:
    """The ego vehicle over frames; deterministic.

    Args:
        state: where it starts.

    Attributes:
        state: of the model.
        grip: tyre friction as a fraction of the dry road's.
        slide_mps: sideways speed left over from an impact, body axes, left positive.
        spin_radps: yaw rate left over from an impact.
        accel_mps2: longitudinal acceleration over the last frame.
        command: what it was last driven with, within the range of the pedals and the wheel.
    """

    def __init__(self, state: VehicleState) -> None:
        self.state = state
        self.grip = 1.0
        self.slide_mps = self.spin_radps = 0.0
        self.accel_mps2 = 0.0
        self.command = Command()
        self._shaken_s = 0.0  # how long the wheels still lack grip after an impact

    def step(self, command: Command, dt: float) -> None:
        """Hold a command for ``dt`` seconds.

        Raises:
            ValueError: the command is not finite.
        """
        check_command(command)
        command = Command(
            min(1.0, max(-1.0, command.steer)), min(1.0, max(-1.0, command.accel)), command.reverse
        )
        before = self.state.speed
        for _ in range(max(1, round(dt / SUBSTEP_S))):
            grip = self.grip
            if self._shaken_s > 0.0:
                grip *= IMPACT_GRIP
                self._shaken_s -= SUBSTEP_S
            self.state = substep(self.state, command, grip)
            if self.slide_mps or self.spin_radps:
                self._slide(grip)
        self.accel_mps2 = (self.state.speed - before) / dt
        self.command = command

    def _slide(self, grip: float) -> None:
        """Move by what an impact left, and let friction take its share of that."""
        s, h = self.state, SUBSTEP_S
        x = s.x - h * self.slide_mps * math.sin(s.yaw)
        y = s.y + h * self.slide_mps * math.cos(s.yaw)
        yaw = wrap_angle(s.yaw + h * self.spin_radps)
        self.state = s._replace(x=x, y=y, yaw=yaw)
        loss = h * FRICTION * GRAVITY * grip
        self.slide_mps = _towards_zero(self.slide_mps, loss)
        self.spin_radps = _towards_zero(self.spin_radps, loss / SPIN_DECAY_M)

    def place(self, x: float, y: float, yaw: float) -> None:
        """Stand at a pose."""
        self.state = VehicleState(x, y, yaw=wrap_angle(yaw))
        self.slide_mps = self.spin_radps = self.accel_mps2 = 0.0

    def push(self, vx: float, vy: float, yaw_rate: float) -> None:
        """Take on a velocity: body axes (m/s, left positive) and yaw rate (rad/s)."""
        self.state = self.state._replace(speed=vx, yaw_rate=0.0, slip=0.0)
        self.slide_mps, self.spin_radps = vy, yaw_rate

    def strike(self, change: np.ndarray, yaw_rate: float, shaken: bool) -> None:
        """Add an impact's change of velocity (2,) (map axes, m/s) and of yaw rate (rad/s).

        ``shaken``: it is hard enough that the wheels lose grip for a while.
        """
        forward, left = self.in_body_axes(change).tolist()
        self.state = self.state._replace(speed=self.state.speed + forward, yaw_rate=0.0, slip=0.0)
        self.slide_mps += left
        self.spin_radps += yaw_rate
        if shaken:
            self._shaken_s = IMPACT_GRIP_S

    def shift(self, offset: np.ndarray) -> None:
        """Move it by (2,) m in map axes."""
        s = self.state
        self.state = s._replace(x=s.x + float(offset[0]), y=s.y + float(offset[1]))

    @property
    def velocity(self) -> np.ndarray:
        """(2,) velocity of the body's centre, map axes, m/s."""
        s = self.state
        course = s.yaw + s.slip
        return np.array(
            [
                s.speed * math.cos(course) - self.slide_mps * math.sin(s.yaw),
                s.speed * math.sin(course) + self.slide_mps * math.cos(s.yaw),
            ]
        )

    def in_body_axes(self, vector: np.ndarray) -> np.ndarray:
        """(2,) of map axes, seen along the body: forward, left."""
        x, y = vector.tolist()
        cos, sin = math.cos(self.state.yaw), math.sin(self.state.yaw)
        return np.array([cos * x + sin * y, cos * y - sin * x])

    @property
    def yaw_rate_radps(self) -> float:
        """Counter-clockwise, rad/s."""
        return self.state.yaw_rate + self.spin_radps

    def ego(self) -> EgoState:
        """The vehicle as the rest of the stack sees it."""
        s = self.state
        return EgoState(
            s.x,
            s.y,
            s.yaw,
            s.speed * math.cos(s.slip),
            self.yaw_rate_radps,
            self.accel_mps2,
            self.command,
            LENGTH_M,
            WIDTH_M,
        )
