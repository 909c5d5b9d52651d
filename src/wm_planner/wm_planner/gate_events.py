"""What the safety gate is told. Times called ``wall_s`` are a steady clock's, in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wm_planner.gate_config import PLAUSIBLE_SPEED_MPS
from wm_planner.gate_rss import Gap

JUMP_MARGIN_M = 2.0  # a pose may move this much more than speed allows before it is a jump


@dataclass(frozen=True)
class Proposal:
    """What the planner wants for the frame ``stamp_ns``; steer left-positive, both in [-1, 1]."""

    stamp_ns: int
    steer: float
    accel: float
    wall_s: float

    @property
    def is_finite(self) -> bool:
        """Whether both numbers can be used."""
        return math.isfinite(self.steer) and math.isfinite(self.accel)


@dataclass(frozen=True)
class Odometry:
    """A frame: pose in the map frame (m, rad), forward speed (m/s) and yaw rate (rad/s)."""

    stamp_ns: int
    wall_s: float
    x: float
    y: float
    yaw: float
    speed_mps: float
    yaw_rate_radps: float

    @property
    def is_usable(self) -> bool:
        """Whether all measurements are finite and the speed is one a car can have."""
        values = (self.x, self.y, self.yaw, self.yaw_rate_radps)
        return all(map(math.isfinite, values)) and abs(self.speed_mps) <= PLAUSIBLE_SPEED_MPS

    def is_jump_from(self, before: Odometry) -> bool:
        """Whether the vehicle cannot have driven here: it was placed anew."""
        elapsed = (self.stamp_ns - before.stamp_ns) * 1e-9
        fastest = max(abs(before.speed_mps), abs(self.speed_mps))
        moved = math.hypot(self.x - before.x, self.y - before.y)
        return moved > fastest * elapsed + JUMP_MARGIN_M


@dataclass(frozen=True)
class Speed:
    """The speedometer: signed forward speed, m/s. Preferred to odometry, exact on slopes."""

    speed_mps: float
    wall_s: float

    @property
    def is_usable(self) -> bool:
        """Whether it is finite and a speed that a car can have."""
        return abs(self.speed_mps) <= PLAUSIBLE_SPEED_MPS


@dataclass(frozen=True)
class Paused:
    """Whether the simulation stands still; nothing is stale meanwhile."""

    paused: bool
    wall_s: float


@dataclass(frozen=True)
class VehicleInfo:
    """The vehicle's own steering limit (rad) and wheelbase (m)."""

    max_steer_rad: float
    wheelbase_m: float
    wall_s: float


@dataclass(frozen=True)
class Ahead:
    """The gap to the nearest object ahead, or None for a free road."""

    gap: Gap | None
    wall_s: float


@dataclass(frozen=True)
class Tick:
    """Time passes."""

    wall_s: float


Event = Proposal | Odometry | Speed | Paused | VehicleInfo | Ahead | Tick
