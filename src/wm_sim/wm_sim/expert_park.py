"""Backing into a bay beside or behind the route: past it, then two arcs and a straight in reverse.

The classical manoeuvre (Paromtchik and Laugier 1996): a shift sideways by two arcs of equal angle
needs a certain length; the car drives on until that much lies behind it. Steering is pure pursuit
of the rear axle, which holds in reverse as it does forwards.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from wm_perception.conventions import to_ego, to_map
from wm_perception.frame import Command, EgoState, SceneFrame
from wm_perception.scene import touches

REAR_AXLE_M = 1.4  # behind the vehicle centre
WHEELBASE_M = 2.6
RADIUS_M = 4.8  # of the arcs, a little wider than full steering gives
BEYOND_M = 0.8  # drives this much farther than needed
STANDING_MPS = 0.15
LOOK_M = 1.3
REVERSE_MPS, REVERSE_GAIN = 1.1, 0.6
STOP_EARLY_M = 0.12
STEP_M = 0.1
BEHIND_M, BEHIND_S, BESIDE_M = 0.4, 0.6, 0.1  # kept free while backing


def shift_length(sideways_m: float, radius_m: float = RADIUS_M) -> float:
    """Length of two equal arcs that shift sideways by ``sideways_m`` (at most two radii)."""
    side = min(abs(sideways_m), 2.0 * radius_m)
    return math.sqrt(4.0 * radius_m * side - side**2)


def reverse_path(ahead_m: float, sideways_m: float) -> np.ndarray:
    """(n, 2) points of the rear axle in the frame of its goal, from the start back to the goal.

    Args:
        ahead_m: the start is this far ahead of the goal, m.
        sideways_m: and this far left of it, m.
    """
    length = shift_length(sideways_m)
    x = np.arange(max(ahead_m, 0.0), -STEP_M, -STEP_M)
    bent = np.clip(x, 0.0, length)
    side = abs(sideways_m)
    first = RADIUS_M - np.sqrt(RADIUS_M**2 - np.minimum(bent, length / 2) ** 2)
    second = side - (RADIUS_M - np.sqrt(RADIUS_M**2 - np.minimum(length - bent, length / 2) ** 2))
    y = np.where(bent < length / 2, first, second) if length > 0 else np.zeros(len(x))
    return np.stack([x, np.copysign(y, sideways_m)], 1)


class Parker:
    """Backs into one bay.

    Args:
        bay: (3,) x, y, yaw of the place where the vehicle's centre shall stand, map frame.
    """

    def __init__(self, bay: np.ndarray):
        self._bay = np.asarray(bay, float)
        self._goal = np.array([*to_map(np.array([-REAR_AXLE_M, 0.0]), self._bay), self._bay[2]])
        self._path: np.ndarray | None = None

    def distance_to_start(self, ego: EgoState) -> float:
        """How far the vehicle still has to drive on before it can back in, m."""
        ahead, sideways = self._axle(ego)
        return shift_length(float(sideways)) + BEYOND_M - float(ahead)

    def command(self, frame: SceneFrame, max_steer_rad: float) -> Command | None:
        """The command while backing in, None as long as it has to drive on."""
        ego = frame.ego
        ahead, sideways = self._axle(ego)
        if self._path is None:
            if self.distance_to_start(ego) > BEYOND_M:
                return None
            if abs(ego.speed_mps) > STANDING_MPS:
                return Command(0.0, -1.0)
            self._path = reverse_path(float(ahead), float(sideways))
        if ahead < STOP_EARLY_M:
            return Command(0.0, -1.0, reverse=True)
        if self._somebody_behind(frame):
            return Command(0.0, -1.0, reverse=True)
        steer = self._steer(ego, np.array([ahead, sideways]), max_steer_rad)
        pace = min(REVERSE_MPS, 0.3 + 0.5 * float(ahead))
        pedal = REVERSE_GAIN * (pace + ego.speed_mps)
        return Command(steer, min(1.0, max(-1.0, pedal)), reverse=True)

    @staticmethod
    def _somebody_behind(frame: SceneFrame) -> bool:
        """Whether a body is about to be touched by the rear."""
        backwards = replace(frame.ego, yaw=frame.ego.yaw + math.pi)
        reach = BEHIND_M + BEHIND_S * abs(frame.ego.speed_mps)
        return any(
            touches(backwards, others, reach, BESIDE_M) for others in (frame.objects, frame.props)
        )

    def _axle(self, ego: EgoState) -> np.ndarray:
        """(2,) rear axle in the frame of its goal: ahead, to the left, m."""
        return to_ego(to_map(np.array([-REAR_AXLE_M, 0.0]), ego.pose), self._goal)

    def _steer(self, ego: EgoState, axle: np.ndarray, max_steer_rad: float) -> float:
        """Pure pursuit: the circle through a point on the path, tangential at the rear axle."""
        assert self._path is not None
        path = self._path[self._path[:, 0] <= axle[0]]
        far = np.hypot(*(path - axle).T) >= LOOK_M
        straight_on = np.array([axle[0] - LOOK_M, 0.0])
        goal = path[int(far.argmax())] if far.any() else straight_on
        target = to_map(goal, self._goal)
        pose = np.array([*to_map(np.array([-REAR_AXLE_M, 0.0]), ego.pose), ego.yaw])
        x, y = to_ego(target, pose)
        angle = math.atan(WHEELBASE_M * 2.0 * y / (x * x + y * y))
        return float(np.clip(angle / max_steer_rad, -1.0, 1.0))
