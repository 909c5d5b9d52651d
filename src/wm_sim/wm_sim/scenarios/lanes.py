"""Following the lanes of an offline ``carla.Map``: through junctions, around roundabouts."""

from __future__ import annotations

import math

import carla
import numpy as np

from wm_perception.conventions import carla_to_ros_pose, wrap_angle
from wm_perception.route import Route

ARM_M = 90.0  # of lane before and behind a junction
BESIDE_M = 200.0  # of neighbouring lane, both ways
RING_M, RING_STEP_M = 200.0, 3.0  # longest way around a roundabout
STEP_M = 1.0
WAY_M = 600.0


def lane_beside(waypoint: carla.Waypoint, side: str) -> carla.Waypoint | None:
    """The driving lane of the same direction on one side ("left" or "right"), or None."""
    other = waypoint.get_left_lane() if side == "left" else waypoint.get_right_lane()
    if other is None or other.lane_type != carla.LaneType.Driving:
        return None
    return other if other.lane_id * waypoint.lane_id > 0 else None


def along_lane(waypoint: carla.Waypoint) -> tuple[Route, float]:
    """The lane through a waypoint, ``BESIDE_M`` both ways, and the waypoint's station on it."""
    before = _walk(waypoint, False, BESIDE_M)[::-1]
    path = [*before, waypoint, *_walk(waypoint, True, BESIDE_M)]
    return Route(np.array([xy_of(w) for w in path])), len(before) * STEP_M


def lane_way(
    carla_map: carla.Map, start: tuple[float, float], goal: tuple[float, float]
) -> np.ndarray:
    """(n, 2) points along the lanes from one place to another, at forks towards the goal.

    Raises:
        ValueError: the lanes do not lead there.
    """
    here = carla_map.get_waypoint(carla.Location(start[0], -start[1], 0.0))
    points = [xy_of(here)]
    while math.dist(points[-1], goal) > 1.5 * STEP_M:
        options = here.next(STEP_M)
        if not options or len(points) * STEP_M > WAY_M:
            raise ValueError(f"no way along the lanes from {start} to {goal}")
        here = min(options, key=lambda w: _distance_ahead(w, goal))
        points.append(xy_of(here))
    return np.array(points)


def _distance_ahead(waypoint: carla.Waypoint, goal: tuple[float, float]) -> float:
    """How near an option leads to a goal, looking 20 m on."""
    seen = [waypoint, *(waypoint.next(10.0)), *(waypoint.next(20.0))]
    return min(math.dist(xy_of(w), goal) for w in seen)


def through_junction(begin: carla.Waypoint, end: carla.Waypoint) -> tuple[Route, float, float]:
    """A junction lane with its arms, and the stations of its two ends."""
    before = _walk(begin, False, ARM_M)[::-1]
    inside = [begin, *begin.next_until_lane_end(STEP_M)]
    after = _walk(end, True, ARM_M)
    points = np.array([xy_of(w) for w in (*before, *inside, *after)])
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.r_[0.0, np.cumsum(steps)]
    return Route(points), float(along[len(before)]), float(along[len(before) + len(inside) - 1])


def _walk(start: carla.Waypoint, forward: bool, length_m: float) -> list[carla.Waypoint]:
    """Follow a lane from a waypoint, as straight as it goes, the start excluded."""
    found: list[carla.Waypoint] = []
    here = start
    while len(found) * STEP_M < length_m:
        options = here.next(STEP_M) if forward else here.previous(STEP_M)
        if not options:
            break
        here = min(options, key=lambda w: _bend_ahead(w, yaw_of(start), forward))
        found.append(here)
    return found


def _bend_ahead(waypoint: carla.Waypoint, yaw: float, forward: bool) -> float:
    """How far an option leads away from a heading, seen 15 m on."""
    further = waypoint.next(15.0) if forward else waypoint.previous(15.0)
    return min((abs(wrap_angle(yaw_of(w) - yaw)) for w in further or [waypoint]), default=0.0)


def is_ring(begin: carla.Waypoint, end: carla.Waypoint) -> bool:
    """Whether turning left wherever possible leads back to the lane within a ring's length."""
    start, here = np.array(xy_of(begin)), end
    for walked in range(round(RING_M / RING_STEP_M)):
        options = here.next(RING_STEP_M)
        if not options:
            return False
        yaw = yaw_of(here)
        here = max(options, key=lambda w: _left_turn(w, yaw))
        if walked > 5 and math.dist(start, xy_of(here)) < RING_STEP_M:
            return True
    return False


def _left_turn(waypoint: carla.Waypoint, yaw: float) -> float:
    """How far an option leads to the left of a heading, seen 10 m on, rad."""
    further = waypoint.next(10.0)
    return max((wrap_angle(yaw_of(w) - yaw) for w in further), default=-math.pi)


def xy_of(waypoint: carla.Waypoint) -> tuple[float, float]:
    """x, y of a waypoint, map frame, m."""
    location = waypoint.transform.location
    return location.x, -location.y


def yaw_of(waypoint: carla.Waypoint) -> float:
    """Direction of travel at a waypoint, map frame, rad."""
    transform = waypoint.transform
    return carla_to_ros_pose(0.0, 0.0, transform.rotation.yaw)[2]
