"""Stop signs and speed limits of a town: what stands there, and what holds where."""

from __future__ import annotations

import math
from functools import lru_cache

import carla

from wm_perception.conventions import carla_to_ros_pose, wrap_angle
from wm_perception.town_map import TownMap
from wm_sim.scenery import Sign
from wm_sim.signs_opendrive import Signs, SpeedLimit, StopSign, read_signs

_ON_LANE_M = 6.0  # further from the centre of every lane there is no limit


@lru_cache(maxsize=8)
def _signs(town: TownMap) -> Signs:
    return read_signs(town.carla_map, town.opendrive)


def stop_signs(town: TownMap) -> tuple[StopSign, ...]:
    """The stop signs of a town, one entry per lane that must stop."""
    return _signs(town).stops


def speed_limits(town: TownMap) -> tuple[SpeedLimit, ...]:
    """The speed-limit signs of a town."""
    return _signs(town).limits


def sign_posts(town: TownMap) -> tuple[Sign, ...]:
    """The signs as scenery: each post once, however many lanes it speaks to."""
    stops = {(s.x, s.y): Sign(s.x, s.y, s.yaw, "stop") for s in stop_signs(town)}
    limits = {
        (s.x, s.y): Sign(s.x, s.y, s.yaw, "speed_limit", round(3.6 * s.limit_mps))
        for s in speed_limits(town)
    }
    return (*stops.values(), *limits.values())


def limit_at(town: TownMap, x: float, y: float, yaw: float) -> float | None:
    """The speed limit (m/s) for a vehicle at a pose (m, rad, map frame), None without one.

    The last sign passed on the road counts, else the lane's own limit, else that of the road.
    """
    waypoint = town.carla_map.get_waypoint(carla.Location(x, -y, 0.0))
    if waypoint is None:
        return None
    transform = waypoint.transform
    there = carla_to_ros_pose(transform.location.x, transform.location.y, transform.rotation.yaw)
    if math.hypot(there[0] - x, there[1] - y) > _ON_LANE_M:
        return None
    signs, road, lane = _signs(town), waypoint.road_id, waypoint.lane_id
    if abs(wrap_angle(there[2] - yaw)) > math.pi / 2:  # on the other side, e.g. to overtake
        other = -1 if lane > 0 else 1
        lane = other if (road, other) in signs.in_force else lane
    return signs.limit(road, lane, waypoint.s)
