"""Signs along a route: where it must come to a full stop, and the speed limits."""

from __future__ import annotations

import math

import numpy as np

from wm_perception.conventions import wrap_angle
from wm_perception.scene import Scene
from wm_sim.expert_speed import Limit, stop_at
from wm_sim.signs import limit_at, stop_signs

ON_LANE_M, ON_LANE_RAD = 1.5, 0.6  # a stop line this close to the route is the route's
SIGHT_M = 45.0
STOP_SHORT_M = 0.6  # of the line
STOPPED_MPS, STOPPED_WITHIN_M, STOPPED_FOR_S = 0.1, 3.0, 0.8
SAMPLE_M = 8.0  # the limit is looked up this often along the route


def stop_stations(scene: Scene) -> tuple[float, ...]:
    """Stations (m) of the stop lines on a scene's route, in order."""
    route = scene.route
    found = []
    for sign in stop_signs(scene.town):
        distance = np.hypot(*(route.points - sign.stop).T)
        index = int(distance.argmin())
        turned = abs(wrap_angle(float(route.headings[index]) - sign.yaw))
        if distance[index] < ON_LANE_M and turned < ON_LANE_RAD:
            found.append(route.project(np.array([*sign.stop, sign.yaw]), index).s)
    return tuple(sorted(found))


def limit_profile(scene: Scene) -> np.ndarray:
    """(n,) speed limit (m/s) at each metre of the route, inf where there is none."""
    route = scene.route
    stations = np.arange(0, len(route), int(SAMPLE_M))
    limits = np.full(len(stations), math.inf)
    for row, index in enumerate(stations):
        x, y = route.points[index]
        limit = limit_at(scene.town, float(x), float(y), float(route.headings[index]))
        limits[row] = math.inf if limit is None else limit
    return limits[np.arange(len(route)) // int(SAMPLE_M)]


class StopLines:
    """Stop signs of one route: each asks for one full stop."""

    def __init__(self, stations: tuple[float, ...]):
        self._open = list(stations)
        self._since: int | None = None

    def limits(self, front: float, speed: float, stamp_ns: int) -> list[Limit]:
        """Where to stop, if anywhere.

        Args:
            front: station of the front bumper, m.
            speed: m/s.
            stamp_ns: now.
        """
        self._open = [station for station in self._open if station > front - 0.5]
        if not self._open or self._open[0] - front > SIGHT_M:
            return []
        left = self._open[0] - front
        if speed < STOPPED_MPS and left < STOPPED_WITHIN_M:
            self._since = stamp_ns if self._since is None else self._since
            if (stamp_ns - self._since) * 1e-9 >= STOPPED_FOR_S:
                self._since = None
                self._open.pop(0)
                return []
        else:
            self._since = None
        return [stop_at(max(left - STOP_SHORT_M, 0.0), "stop sign")]
