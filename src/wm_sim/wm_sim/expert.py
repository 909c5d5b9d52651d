"""The rule-based expert: the teacher and the upper reference, never part of the planner.

It reads only a :class:`Scene` and :class:`SceneFrame`, so it drives in process, over ROS and on any
source of the topics. Here its parts come together: where to (pure pursuit on the route plus an
offset), and how fast (the Intelligent Driver Model against everything ahead). What is ahead is
decided in ``expert_junction``, ``expert_people``, ``expert_avoid``, ``expert_edge`` and
``expert_signs``; see docs/expert.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.frame import Command, ObjectClass, SceneFrame
from wm_perception.route import RouteTracker
from wm_perception.scene import Scene, stop_distance
from wm_sim.expert_avoid import Avoidance
from wm_sim.expert_edge import EdgeKeeper
from wm_sim.expert_junction import Junctions
from wm_sim.expert_park import WHEELBASE_M, Parker
from wm_sim.expert_pass import SQUEEZE_M
from wm_sim.expert_path import HALF_WIDTH_M, Placed, path_around, place
from wm_sim.expert_people import beside_speed, forecast, in_the_way, person_limits
from wm_sim.expert_signs import StopLines, limit_profile, stop_stations
from wm_sim.expert_speed import Limit, follow, pedal, speed_profile, stop_at

NEAR_M, FAR_M = 60, 105  # how far it looks: usually, and when it may have to pass something
STOP_MARGIN_M = 1.0
# A yellow or red light is passed when stopping would need more than this.
HARDEST_LIGHT_STOP_MPS2 = 4.5
BACKING_PEDAL, BACKING_MPS = 0.3, 1.2
CLOSE_HALF_M = HALF_WIDTH_M + SQUEEZE_M
SQUEEZE_MPS, SQUEEZE_BRAKE_MPS2 = 3.0, 1.5
CROSSING_STOP_M = 2.0  # stop this far before the way of somebody who crosses
CUT_IN_HALF_M = 1.2  # a vehicle whose forecast comes this close to the path is a leader already


def squeezes(placed: Placed) -> np.ndarray:
    """(M,) bool: what leaves little room beside the path, but enough to pass slowly."""
    still = (placed.along < 0.5) & (np.abs(placed.across) < 0.5)
    return placed.in_corridor() & ~placed.in_corridor(CLOSE_HALF_M) & still


def squeeze_speed(placed: Placed, front: float) -> float:
    """Speed (m/s) now, so that the ego is slow where little room is left."""
    gaps = placed.rear[squeezes(placed) & (placed.front > front)] - front
    if not len(gaps):
        return math.inf
    return math.sqrt(SQUEEZE_MPS**2 + 2.0 * SQUEEZE_BRAKE_MPS2 * max(0.0, float(gaps.min())))


@dataclass(frozen=True)
class ExpertStyle:
    """How the expert drives; the defaults are the good driver.

    Attributes:
        cruise_mps: desired speed on a straight.
        offset_m: keeps this far left of the route.
        heeds_traffic, heeds_lights: False drives as if there were none (stop signs go with lights).
        max_steer_rad: front wheel angle at steer = 1 (0.61 for the embedded simulator).
        grip: tyre friction as a fraction of a dry road's; curves, brakes and gaps go by it.
    """

    cruise_mps: float = 8.3
    offset_m: float = 0.0
    heeds_traffic: bool = True
    heeds_lights: bool = True
    max_steer_rad: float = 0.61
    grip: float = 1.0


class Expert:
    """Drives one route after another."""

    def __init__(self, style: ExpertStyle | None = None):
        self.style = style or ExpertStyle()
        self.limits: list[Limit] = []  # what held the last frame's speed, for reports

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route. The expert is deterministic; ``seed`` is there for the driver protocol."""
        self._scene = scene
        self._tracker = RouteTracker(scene.route)
        self._curves = speed_profile(scene.route, self.style.grip)
        has_map = hasattr(scene.town, "carla_map")
        self._stop_lines = StopLines(stop_stations(scene) if has_map else ())
        if has_map:
            self._curves = np.minimum(self._curves, limit_profile(scene))
        self._junctions = Junctions(scene)
        self._avoidance = Avoidance(scene, self._junctions)
        self._edge = EdgeKeeper()
        self._parker: Parker | None = None

    def park(self, bay: np.ndarray) -> None:
        """End the drive in a bay beside or behind the route, from now on.

        Args:
            bay: (3,) x, y, yaw of the place for the vehicle's centre, map frame.
        """
        self._parker = Parker(bay)

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame."""
        s = self._tracker.update(frame.ego.pose).s
        if self._parker is not None:
            command = self._parker.command(frame, self.style.max_steer_rad)
            if command is not None:
                return command
        speed = max(frame.ego.speed_mps, 0.0)
        cruise = self.style.cruise_mps * math.sqrt(self.style.grip)  # the same way to stop in
        target = min(cruise, self._at(self._curves, s + 1.0 + 0.5 * speed))
        self.limits = self._light_limits(frame, s)
        if self.style.heeds_lights:
            front = s + frame.ego.length / 2
            self.limits += self._stop_lines.limits(front, speed, frame.stamp_ns)
        if self._parker is not None:
            left = max(self._parker.distance_to_start(frame.ego), 0.0)
            self.limits.append(stop_at(left, "bay"))
        if self.style.heeds_traffic:
            target = min(target, self._traffic(frame, s))
        if self.style.heeds_traffic and self._avoidance.backs_up:
            return Command(0.0, BACKING_PEDAL if frame.ego.speed_mps > -BACKING_MPS else 0.0, True)
        accel = follow(speed, target, self.limits, self.style.grip)
        return Command(self._steer(frame, s), pedal(accel))

    @staticmethod
    def _at(profile: np.ndarray, s: float) -> float:
        return float(profile[min(max(int(s), 0), len(profile) - 1)])

    # ------------------------------------------------------------------ steering

    def _steer(self, frame: SceneFrame, s: float) -> float:
        """Pure pursuit (Coulter 1992) with a speed-dependent look-ahead."""
        ego, route = frame.ego, self._scene.route
        target_s = s + 3.0 + 0.55 * max(ego.speed_mps, 0.0)
        index = min(int(target_s), len(route) - 1)
        heading, beyond = float(route.headings[index]), target_s - index
        offset = self.style.offset_m
        if self.style.heeds_traffic:
            offset = self._at(self._avoidance.offset, target_s)
        cos, sin = math.cos(heading), math.sin(heading)
        dx = float(route.points[index, 0]) + beyond * cos - offset * sin - ego.x
        dy = float(route.points[index, 1]) + beyond * sin + offset * cos - ego.y
        bearing = math.remainder(math.atan2(dy, dx) - ego.yaw, 2 * math.pi)
        angle = math.atan2(2 * WHEELBASE_M * math.sin(bearing), max(2.0, math.hypot(dx, dy)))
        return min(1.0, max(-1.0, angle / self.style.max_steer_rad))

    # ------------------------------------------------------------------ speed

    def _light_limits(self, frame: SceneFrame, s: float) -> list[Limit]:
        if not self.style.heeds_lights:
            return []
        stop = stop_distance(self._scene, frame, s)
        speed = max(frame.ego.speed_mps, 0.0)
        if stop is None or speed**2 / (2 * HARDEST_LIGHT_STOP_MPS2) >= stop:
            return []
        return [stop_at(stop - STOP_MARGIN_M, "light")]

    def _traffic(self, frame: SceneFrame, s: float) -> float:
        """Add what other road users demand to the limits; returns the speed they allow."""
        ego, avoidance = frame.ego, self._avoidance
        reach = FAR_M if avoidance.wary else NEAR_M
        others = frame.objects.within(ego.x, ego.y, reach)
        if len(frame.props):
            others = others + frame.props.within(ego.x, ego.y, reach)
        path = path_around(self._scene.route, s, avoidance.offset, reach)
        placed = place(path, others, max(0.0, ego.width / 2 - HALF_WIDTH_M))
        front, speed = s + ego.length / 2, max(ego.speed_mps, 0.0)
        base = self.style.offset_m
        in_junction = self._junctions.in_area(front - ego.length, front + 3.0)
        room = self._edge.update(frame, s, placed, base, in_junction)
        avoidance.update(frame, s, placed, base + room.shift_m)
        held = any(limit.cause == "light" for limit in self.limits)
        self.limits += self._junctions.limits(frame, s, placed, self._allowed(), held)
        if not len(placed):
            return math.inf
        walks = placed.objects.kinds == ObjectClass.PEDESTRIAN
        some = bool(walks.any())
        people, bodies = (placed[walks], placed[~walks]) if some else (None, placed)
        self.limits += self._leaders(bodies, frame, s)
        squeeze = squeeze_speed(bodies, front)
        self.limits += avoidance.standoff(frame, s, bodies)
        allowed = min(room.top_mps, squeeze, avoidance.top_speed(s))
        if people is None:
            return allowed
        self.limits += person_limits(people, front, ego.length, speed)
        return min(allowed, beside_speed(people, front))

    def _allowed(self) -> np.ndarray:
        return np.minimum(self._curves, self.style.cruise_mps)

    def _leaders(self, placed: Placed, frame: SceneFrame, s: float) -> list[Limit]:
        """Vehicles and obstacles on the path, and those that come onto it from the side."""
        if not len(placed):
            return []
        front, speed = s + frame.ego.length / 2, max(frame.ego.speed_mps, 0.0)
        ahead = (placed.s > s + 0.5) & (placed.front > front)
        plan = self._avoidance.plan
        inside = placed.in_corridor() & ~squeezes(placed)
        if plan is not None:
            passed = np.isin(placed.objects.ids, list(plan.ids))
            inside = np.where(passed, placed.in_corridor(CLOSE_HALF_M), inside)
        crossing = self._crossing(placed, front, speed, frame.ego.length)
        cuts_in = (np.abs(placed.across) > 0.2) & (placed.along > 1.0) & (placed.rear > front - 2.0)
        if cuts_in.any():
            when = forecast(placed, front, frame.ego.length, speed)
            cuts_in &= (when.arrives < 2.0) & in_the_way(placed, when, CUT_IN_HALF_M)
        limits = [
            stop_at(max(0.0, float(placed.rear[row]) - front - CROSSING_STOP_M), "crossing")
            for row in np.flatnonzero(crossing)
        ]
        for row in np.flatnonzero(ahead & (inside | cuts_in)):
            gap = max(0.0, float(placed.rear[row]) - front)
            limits.append(Limit(gap, float(placed.along[row]), "vehicle"))
        return limits

    def _crossing(self, placed: Placed, front: float, speed: float, length: float) -> np.ndarray:
        """(M,) bool: vehicles that cross the path between junctions, where no lane leads."""
        moving = (np.abs(placed.across) > 0.7) & (np.abs(placed.along) < np.abs(placed.across))
        moving &= placed.front > front - 0.3
        if not moving.any():
            return moving
        when = forecast(placed, front, length, speed)
        moving &= in_the_way(placed, when, CUT_IN_HALF_M)
        for row in np.flatnonzero(moving):
            moving[row] = not self._junctions.in_area(placed.s[row] - 8.0, placed.s[row] + 8.0)
        return moving
