"""What the safety gate is told. Times called ``wall_s`` are a steady clock's, in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.frame import Objects
from wm_planner.gate_config import PLAUSIBLE_SPEED_MPS

# Beyond this a number cannot be a place, a turn or a size: arithmetic on it would overflow.
PLAUSIBLE_POSITION_M = 1.0e7
PLAUSIBLE_YAW_RATE_RADPS = 100.0
PLAUSIBLE_SIZE_M = 100.0
PLAUSIBLE_ROUTE_M = 100_000.0  # a longer one would be sampled until the memory is full
JUMP_MARGIN_M = 1.0  # a pose may move this much more than speed allows before it is a jump


@dataclass(frozen=True)
class Proposal:
    """What the planner wants for the frame ``stamp_ns``; steer left-positive, both in [-1, 1].

    Attributes:
        stamp_ns, steer, accel, wall_s: see above.
        stop_requested: the planner asks for a comfort stop: it does not trust itself.
        feasible: the plan meets the planner's own constraints; if not, no plan does.
        reason: of the last two, for people.
    """

    stamp_ns: int
    steer: float
    accel: float
    wall_s: float
    stop_requested: bool = False
    feasible: bool = True
    reason: str = ""

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
        """Whether all measurements are finite and such as a car can have."""
        return (
            abs(self.x) <= PLAUSIBLE_POSITION_M
            and abs(self.y) <= PLAUSIBLE_POSITION_M
            and math.isfinite(self.yaw)
            and abs(self.speed_mps) <= PLAUSIBLE_SPEED_MPS
            and abs(self.yaw_rate_radps) <= PLAUSIBLE_YAW_RATE_RADPS
        )

    @property
    def pose(self) -> np.ndarray:
        """(3,) x, y, yaw."""
        return np.array([self.x, self.y, self.yaw])

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
class RoadUsers:
    """The other road users of the frame ``stamp_ns``, map frame."""

    stamp_ns: int
    objects: Objects
    wall_s: float

    @property
    def is_usable(self) -> bool:
        """Whether all numbers are finite and poses and sizes such as road users can have."""
        poses, speeds, sizes = self.objects.poses, self.objects.velocities, self.objects.sizes
        return bool(
            (np.abs(poses) <= PLAUSIBLE_POSITION_M).all()
            and (np.abs(speeds) <= PLAUSIBLE_POSITION_M).all()
            and ((sizes >= 0.0) & (sizes <= PLAUSIBLE_SIZE_M)).all()
        )


@dataclass(frozen=True)
class RouteKnown:
    """The route that is to be driven: (n, 2) points, map frame; another one replaces it."""

    points: np.ndarray
    wall_s: float

    @property
    def is_usable(self) -> bool:
        """Whether it is finite and of a length that can be driven."""
        if not (np.abs(self.points) <= PLAUSIBLE_POSITION_M).all():
            return False
        return float(np.abs(np.diff(self.points, axis=0)).sum()) <= PLAUSIBLE_ROUTE_M


@dataclass(frozen=True)
class Tick:
    """Time passes."""

    wall_s: float


Event = Proposal | Odometry | Speed | Paused | VehicleInfo | RoadUsers | RouteKnown | Tick
