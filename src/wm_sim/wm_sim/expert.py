"""The rule-based expert: pure pursuit, the Intelligent Driver Model, red lights, curve speed.

It reads only a :class:`Scene` and :class:`SceneFrame`, so it drives in process, over ROS and on any
source of the topics. It is the teacher and the upper reference, never part of the planner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.frame import Command, SceneFrame
from wm_perception.route import RouteTracker
from wm_perception.scene import Scene, leader, stop_distance

WHEELBASE_M = 2.6
FULL_THROTTLE_MPS2 = 3.5
FULL_BRAKE_MPS2 = 7.0
# Intelligent Driver Model (Treiber, Hennecke, Helbing 2000).
IDM_ACCEL, IDM_DECEL, IDM_HEADWAY_S, IDM_GAP_M = 2.0, 3.0, 1.2, 2.0
LATERAL_ACCEL_MPS2 = 2.0
STOP_MARGIN_M = 1.0
# A yellow or red light is passed when stopping would need more than this.
HARDEST_LIGHT_STOP_MPS2 = 6.0


@dataclass(frozen=True)
class ExpertStyle:
    """How the expert drives; the defaults are the good driver.

    Attributes:
        cruise_mps: desired speed on a straight.
        offset_m: keeps this far left of the route.
        heeds_traffic, heeds_lights: False drives as if there were none.
        max_steer_rad: front wheel angle at steer = 1 (0.61 for the embedded simulator).
    """

    cruise_mps: float = 8.3
    offset_m: float = 0.0
    heeds_traffic: bool = True
    heeds_lights: bool = True
    max_steer_rad: float = 0.61


def idm_accel(speed: float, target: float, gap: float, closing: float) -> float:
    """Acceleration (m/s^2) behind a leader ``gap`` metres ahead, closing at ``closing`` m/s."""
    interaction = speed * closing / (2.0 * math.sqrt(IDM_ACCEL * IDM_DECEL))
    wanted_gap = IDM_GAP_M + max(0.0, speed * IDM_HEADWAY_S + interaction)
    return IDM_ACCEL * (1.0 - (speed / max(target, 0.1)) ** 4 - (wanted_gap / max(gap, 0.3)) ** 2)


class Expert:
    """Drives one route after another."""

    def __init__(self, style: ExpertStyle | None = None):
        self.style = style or ExpertStyle()

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route. The expert is deterministic; ``seed`` is there for the driver protocol."""
        self._scene = scene
        self._tracker = RouteTracker(scene.route)

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame."""
        s = self._tracker.update(frame.ego.pose).s
        accel = self._accel(frame, s)
        accel = accel / FULL_THROTTLE_MPS2 if accel > 0 else accel / FULL_BRAKE_MPS2
        return Command(self._steer(frame, s), float(np.clip(accel, -1.0, 1.0)))

    def _steer(self, frame: SceneFrame, s: float) -> float:
        """Pure pursuit (Coulter 1992) with a speed-dependent look-ahead."""
        ego, route = frame.ego, self._scene.route
        target_s = s + 3.0 + 0.55 * max(ego.speed_mps, 0.0)
        target = route.sample(np.array(target_s))
        heading = route.headings[min(int(target_s), len(route) - 1)]
        dx = target[0] - self.style.offset_m * math.sin(heading) - ego.x
        dy = target[1] + self.style.offset_m * math.cos(heading) - ego.y
        bearing = math.remainder(math.atan2(dy, dx) - ego.yaw, 2 * math.pi)
        angle = math.atan2(2 * WHEELBASE_M * math.sin(bearing), max(2.0, math.hypot(dx, dy)))
        return float(np.clip(angle / self.style.max_steer_rad, -1.0, 1.0))

    def _accel(self, frame: SceneFrame, s: float) -> float:
        speed = max(frame.ego.speed_mps, 0.0)
        gap, closing = math.inf, 0.0
        if self.style.heeds_traffic:
            ahead = leader(self._scene, frame.ego, frame.objects, s)
            if ahead is not None:
                gap, closing = ahead.gap_m, speed - ahead.speed_mps
        if self.style.heeds_lights:
            stop = stop_distance(self._scene, frame, s)
            if stop is not None and speed**2 / (2 * HARDEST_LIGHT_STOP_MPS2) < stop:
                gap, closing = min((gap, closing), (stop - STOP_MARGIN_M + IDM_GAP_M, speed))
        return idm_accel(speed, self._curve_speed(s), gap, closing)

    def _curve_speed(self, s: float) -> float:
        headings = self._scene.route.headings[max(0, int(s)) : int(s) + 22]
        if len(headings) < 3:
            return self.style.cruise_mps
        turn = np.abs(np.diff(headings)).max()
        curvature = max(turn, abs(headings[-1] - headings[0]) / len(headings), 1e-3)
        return min(self.style.cruise_mps, max(2.5, math.sqrt(LATERAL_ACCEL_MPS2 / curvature)))
