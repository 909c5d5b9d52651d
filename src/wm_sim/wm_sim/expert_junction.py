"""Junctions: who else will be where the route crosses or joins other lanes, and when.

Nobody is trusted to give way: the ego waits for every vehicle that is predicted to be in the same
place at the same time, unless a light stops that vehicle, it stands, or it would have to turn left
across the ego's straight way and shows no sign of it. Whether the ego is on a main street, in a
roundabout, or turns left through oncoming traffic is then all one rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import wrap_angle
from wm_perception.frame import LightState, ObjectClass, SceneFrame
from wm_perception.scene import Scene
from wm_sim.expert_lanes import Area, Thread, find_areas, find_threads
from wm_sim.expert_path import Placed
from wm_sim.expert_speed import Limit, stop_at, travel_time

NEAR_M = 80.0  # nobody farther away matters to a junction
STANDING_MPS = 0.3
MATCH_M, MATCH_COS = 1.8, 0.75  # distance from a thread, cosine of the angle to it
# The ego decides about an area when it could still stop comfortably before it.
DECIDE_BRAKE_MPS2, DECIDE_MARGIN_M = 2.0, 8.0
HARDEST_YIELD_MPS2 = 6.0  # beyond this it is better to drive on than to stop half inside
EGO_ACCEL_MPS2, OTHER_ACCEL_MPS2 = 1.5, 1.0
OTHER_TOP_MPS = 9.0  # how fast a slow vehicle may become
# A light stops a vehicle that can brake for it by less than this.
RED_BRAKE_MPS2, YELLOW_BRAKE_MPS2 = 4.0, 2.5
BEFORE_S, AFTER_S = 1.0, 0.8  # the ego keeps this much time before and after another vehicle
MERGE_S = 1.2  # more of it before a vehicle that will drive behind the ego
PATIENCE_S, LEAST_SHARE = 25.0, 0.25  # margins shrink to this share while it waits
CALM_DOWN = 2.0  # patience returns at this many times the pace at which it went
BOX_PATIENCE_S = 12.0  # after this it enters although its exit is not free
STOP_SHORT_M = 0.7  # of an area
TURN_RAD = 0.5


@dataclass(frozen=True)
class _Ego:
    """What the forecasts need: station of the front bumper, speed, allowed speed per metre."""

    front: float
    speed: float
    length: float
    profile: np.ndarray

    def top(self, station: float) -> float:
        return float(self.profile[min(max(int(station), 0), len(self.profile) - 1)])

    def reaches(self, station: float) -> float:
        """Seconds until the front bumper is at a station."""
        distance = station - self.front
        return travel_time(distance, self.speed, EGO_ACCEL_MPS2, self.top(station))


class Junctions:
    """Watches the meeting places of one route."""

    def __init__(self, scene: Scene):
        self._scene = scene
        has_lanes = hasattr(scene.town, "strips")
        self.threads: tuple[Thread, ...] = find_threads(scene) if has_lanes else ()
        self.areas: tuple[Area, ...] = find_areas(self.threads)
        self._enter = np.array([area.enter for area in self.areas])
        self._leave = np.array([area.leave for area in self.areas])
        first = np.array([thread.route_enter for thread in self.threads])
        # Threads of one area are contiguous, because both are sorted by where they begin.
        self._first = np.searchsorted(first, self._enter)
        self._first = np.r_[self._first, len(self.threads)].astype(int)
        counts = [len(thread.arc) for thread in self.threads]
        self._rows = np.r_[0, np.cumsum(counts)].astype(int)
        self._points = (
            np.concatenate([t.points for t in self.threads]) if counts else np.zeros((0, 2))
        )
        yaw = np.concatenate([t.yaw for t in self.threads]) if counts else np.zeros(0)
        self._directions = np.stack([np.cos(yaw), np.sin(yaw)], 1)
        self._waited = 0.0
        self._stamp_ns: int | None = None

    def limits(
        self, frame: SceneFrame, s: float, placed: Placed, profile: np.ndarray, held: bool
    ) -> list[Limit]:
        """Where to stop for others, if anywhere.

        Args:
            frame: now.
            s: station of the ego's centre, m.
            placed: the other road users on the path.
            profile: (n,) speed that the ego may drive at each metre of the route.
            held: a light holds the ego anyway; waiting for it is no reason to lose patience.
        """
        speed = max(frame.ego.speed_mps, 0.0)
        ego = _Ego(s + frame.ego.length / 2, speed, frame.ego.length, profile)
        reach = ego.front + speed**2 / (2 * DECIDE_BRAKE_MPS2) + DECIDE_MARGIN_M
        due = np.flatnonzero((self._enter < reach) & (self._leave > ego.front - ego.length))
        found: list[Limit] = []
        for area in due:
            found += self._yield(int(area), frame, ego)
            found += self._keep_free(self.areas[area], ego, placed)
        self._count_waiting(frame.stamp_ns, bool(found) and not held and speed < 1.0)
        return found

    def _count_waiting(self, stamp_ns: int, waiting: bool) -> None:
        dt = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) * 1e-9
        self._stamp_ns = stamp_ns
        self._waited = self._waited + dt if waiting else max(0.0, self._waited - CALM_DOWN * dt)

    def in_area(self, low: float, high: float) -> bool:
        """Whether a stretch of the route overlaps a meeting place."""
        return bool(((self._enter < high) & (self._leave > low)).any())

    # ------------------------------------------------------------------ yielding

    def _yield(self, index: int, frame: SceneFrame, ego: _Ego) -> list[Limit]:
        area = self.areas[index]
        threads = range(self._first[index], self._first[index + 1])
        share = max(LEAST_SHARE, 1.0 - self._waited / PATIENCE_S)
        left_turn = self._turns_left(area)
        stops = []
        for vehicle, thread_index, arc in self._matches(threads, frame):
            thread = self.threads[thread_index]
            if ego.front - ego.length > thread.route_leave:
                continue
            if self._held_by_light(thread, frame, vehicle, arc):
                continue
            if not left_turn and self._should_wait_for_ego(thread, arc):
                continue
            if not self._meet(thread, frame, vehicle, arc, ego, share):
                continue
            stop = self._stop_station(area, thread, ego)
            if stop is not None:
                stops.append(stop - ego.front)
        return [stop_at(min(stops), "yield")] if stops else []

    def _turns_left(self, area: Area) -> bool:
        headings = self._scene.route.headings
        low, high = max(0, int(area.enter) - 8), min(len(headings) - 1, int(area.leave) + 3)
        return bool(headings[high] - headings[low] > TURN_RAD)

    def _matches(self, threads: range, frame: SceneFrame) -> list[tuple[int, int, float]]:
        """(row of the vehicle, thread, arc length on it) of every moving vehicle on a thread."""
        objects, ego = frame.objects, frame.ego
        speed = np.hypot(objects.velocities[:, 0], objects.velocities[:, 1])
        near = np.hypot(objects.poses[:, 0] - ego.x, objects.poses[:, 1] - ego.y) < NEAR_M
        moving = near & (speed > STANDING_MPS) & (objects.kinds != ObjectClass.PEDESTRIAN)
        vehicles = np.flatnonzero(moving)
        if not len(vehicles) or not len(threads):
            return []
        low, high = self._rows[threads[0]], self._rows[threads[-1] + 1]
        points, directions = self._points[low:high], self._directions[low:high]
        poses = objects.poses[vehicles]
        heading = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], 1)
        squared = (
            (points**2).sum(1) - 2.0 * poses[:, :2] @ points.T + (poses[:, :2] ** 2).sum(1)[:, None]
        )
        squared[heading @ directions.T < MATCH_COS] = np.inf
        starts = self._rows[threads[0] : threads[-1] + 1] - low
        best = np.minimum.reduceat(squared, starts, axis=1)
        found = []
        for row, column in zip(*np.nonzero(best < MATCH_M**2), strict=True):
            index = threads[0] + int(column)
            a, b = self._rows[index] - low, self._rows[index + 1] - low
            at = int(squared[row, a:b].argmin())
            if self._has_left(self.threads[index], at, float(poses[row, 2])):
                continue
            found.append((int(vehicles[row]), index, float(self.threads[index].arc[at])))
        return found

    @staticmethod
    def _has_left(thread: Thread, at: int, yaw: float) -> bool:
        """Where the thread has turned, a vehicle that has not turned with it goes elsewhere."""
        turned = abs(wrap_angle(thread.yaw[at] - thread.yaw[max(0, at - 8)]))
        return bool(turned > 0.2 and abs(wrap_angle(yaw - thread.yaw[at])) > 0.5 * turned)

    @staticmethod
    def _held_by_light(thread: Thread, frame: SceneFrame, vehicle: int, arc: float) -> bool:
        state = frame.light_states.get(thread.light)
        left = thread.light_arc - arc - frame.objects.sizes[vehicle, 0] / 2
        if left < -0.5 or state not in (LightState.RED, LightState.YELLOW):
            return False
        speed = float(np.hypot(*frame.objects.velocities[vehicle]))
        hardest = RED_BRAKE_MPS2 if state == LightState.RED else YELLOW_BRAKE_MPS2
        return speed**2 / (2.0 * max(left, 0.3)) < hardest

    @staticmethod
    def _should_wait_for_ego(thread: Thread, arc: float) -> bool:
        """An oncoming vehicle that would turn left across the ego's way, not turning yet."""
        approach = max(0, int(np.searchsorted(thread.arc, thread.enter)) - 12)
        turn = float(wrap_angle(thread.yaw[-1] - thread.yaw[approach]))
        at = int(np.searchsorted(thread.arc, arc))
        so_far = float(wrap_angle(thread.yaw[min(at, len(thread.yaw) - 1)] - thread.yaw[approach]))
        came_towards = abs(wrap_angle(thread.angle - turn)) > 2.3
        return came_towards and turn > TURN_RAD and so_far < 0.15

    def _meet(
        self, thread: Thread, frame: SceneFrame, vehicle: int, arc: float, ego: _Ego, share: float
    ) -> bool:
        """Whether both will be in the meeting place at the same time, margins included."""
        half = float(frame.objects.sizes[vehicle, 0]) / 2
        speed = float(np.hypot(*frame.objects.velocities[vehicle]))
        to_enter, to_leave = thread.enter - arc - half, thread.leave - arc + half
        if to_leave <= 0.0:
            return False
        other_in = travel_time(to_enter, speed, OTHER_ACCEL_MPS2, max(speed, OTHER_TOP_MPS))
        other_out = to_leave / max(speed, 1.0)
        ego_in = ego.reaches(thread.route_enter)
        ego_out = ego.reaches(thread.route_leave + ego.length)
        before = BEFORE_S + (MERGE_S if thread.merges else 0.0)
        return ego_in < other_out + AFTER_S * share and other_in < ego_out + before * share

    @staticmethod
    def _stop_station(area: Area, thread: Thread, ego: _Ego) -> float | None:
        """The last place to stop at that the ego can still reach, or None when it must go on."""
        for station in (area.enter, thread.route_enter):
            room = station - STOP_SHORT_M - ego.front
            if room > -0.3 and ego.speed**2 / (2.0 * max(room, 0.2)) < HARDEST_YIELD_MPS2:
                return station - STOP_SHORT_M
        return None

    # ------------------------------------------------------------------ keeping the box free

    def _keep_free(self, area: Area, ego: _Ego, placed: Placed) -> list[Limit]:
        """Wait before an area that a slow queue behind it would not let the ego leave."""
        room = area.enter - STOP_SHORT_M - ego.front
        if room < -0.3 or self._waited > BOX_PATIENCE_S or not len(placed):
            return []
        if ego.speed**2 / (2.0 * max(room, 0.2)) > HARDEST_YIELD_MPS2:
            return []
        ahead = placed.in_corridor() & (placed.s > area.enter) & (placed.along < 2.0)
        short = ahead & (placed.rear < area.leave + ego.length + 1.5)
        return [stop_at(room, "keep free")] if bool(short.any()) else []
