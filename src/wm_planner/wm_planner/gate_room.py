"""The room around the ego by the rules of RSS, and the braking that too little of it calls for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.route import Route
from wm_planner.gate_config import GateConfig, RssConfig
from wm_planner.gate_events import Odometry, RoadUsers, RouteKnown
from wm_planner.gate_path import REACH_M, EgoPath, Neighbours, in_the_bend, neighbours
from wm_planner.gate_rss import (
    lateral_distance,
    needed_braking,
    opposite_direction_distance,
    same_direction_distance,
)
from wm_planner.gate_rules import Rule

FRAME_S = 0.1  # the longest frame for which the bundled files are made
AGAINST_MPS = 0.5  # who drives faster than this against the path comes from the opposite direction


@dataclass(frozen=True)
class Room:
    """What there is room for.

    Attributes:
        rules: of RSS.
        braking_mps2: that the last resort calls for; 0 when it has nothing to say.
    """

    rules: tuple[Rule, ...]
    braking_mps2: float


class RoomWatch:
    """Knows the other road users and the route, and judges the room by them."""

    def __init__(self, config: GateConfig):
        self._config = config
        self._route: Route | None = None
        self.restart()

    def restart(self) -> None:
        """Forget the road users, and where on the route the ego was."""
        self._users: RoadUsers | None = None
        self._path = EgoPath(self._route)

    def see(self, users: RoadUsers) -> None:
        """Take the road users in; a list that is not usable is left out, and so grows stale."""
        if users.is_usable:
            self._users = users

    def know(self, route: RouteKnown) -> None:
        """Take the route in, if it is one."""
        try:
            self._route = Route(route.points) if route.is_usable else None
        except ValueError:  # fewer than two points
            self._route = None
        self._path = EgoPath(self._route)

    def judge(self, ego: Odometry | None, speed_mps: float) -> Room:
        """The room now.

        Args:
            ego: the last usable odometry, None before the first.
            speed_mps: measured forward speed.
        """
        timing, users = self._config.timing, self._users
        if ego is None or users is None:
            return Room((), 0.0)
        age_s = (ego.stamp_ns - users.stamp_ns) * 1e-9
        stale = not abs(age_s) <= timing.objects_stale_s
        age = Rule("objects_age", age_s, timing.objects_stale_s, stale, "s")
        near = users.objects.within(ego.x, ego.y, REACH_M)
        if stale or not len(near):
            return Room((age,), 0.0)
        pose, vehicle = ego.pose, self._config.vehicle
        path = self._path.points(pose, speed_mps, ego.yaw_rate_radps)
        around = neighbours(path, pose, speed_mps, (vehicle.length_m, vehicle.width_m), near)
        beside = in_the_bend(around, pose, (vehicle.length_m, vehicle.width_m), near)
        last, braking = _last_resort(around, beside, speed_mps, self._config)
        return Room((age, *_reported(around, speed_mps, self._config.rss), last), braking)


def _distances(
    around: Neighbours, speed_mps: float, rss: RssConfig
) -> tuple[np.ndarray, np.ndarray]:
    """The room that every neighbour calls for, m: along the path, across it; (M,) each."""
    along, against = around.along_mps, around.along_mps < -AGAINST_MPS
    ahead = np.where(
        against,
        opposite_direction_distance(speed_mps, along, rss),
        same_direction_distance(speed_mps, along, rss.response_s, rss),
    )
    behind = same_direction_distance(along, speed_mps, rss.other_response_s, rss)
    behind = np.where(against, 0.0, behind)  # it drives away
    lateral = lateral_distance(around.ego_towards_mps, around.towards_mps, rss)
    return np.where(around.ahead_m > 0.0, ahead, behind), lateral


def _reported(around: Neighbours, speed_mps: float, rss: RssConfig) -> tuple[Rule, ...]:
    """Per rule, the neighbour with the least room among those that the other axis endangers.

    Whoever comes from behind has to keep the distance: the ego answers for those ahead and beside.
    """
    along, across = _distances(around, speed_mps, rss)
    close = (around.gap_m < along) | (around.gap_m <= 0.0)
    narrow = (around.side_m < across) | (around.side_m <= 0.0)
    ahead, against = around.ahead_m > 0.0, around.along_mps < -AGAINST_MPS
    behind = ~ahead & (around.gap_m > 0.0)
    return (
        _least("rss_same_direction", around.gap_m, along, narrow & ahead & ~against),
        _least("rss_opposite_direction", around.gap_m, along, narrow & ahead & against),
        _least("rss_lateral", around.side_m, across, close & ~behind),
    )


def _least(name: str, room: np.ndarray, needed: np.ndarray, candidates: np.ndarray) -> Rule:
    if not candidates.any():
        return Rule(name, math.inf, 0.0, False, "m")
    index = int(np.where(candidates, room - needed, np.inf).argmin())
    value, limit = float(room[index]), float(needed[index])
    return Rule(name, value, limit, not value >= limit, "m")


def _last_resort(
    around: Neighbours, beside: np.ndarray, speed_mps: float, config: GateConfig
) -> tuple[Rule, float]:
    """The braking that those call for who are too close, and whether it has to be done.

    Args:
        around: all others.
        beside: (M,) those beside the ego whom it is about to touch, because it turns.
        speed_mps: of the ego.
        config: numbers.
    """
    rss = config.last_resort
    along, across = _distances(around, speed_mps, rss)
    # Braking is of no help against those beside, unless it is the ego that turns towards them.
    ahead = around.ahead_m > 0.5 * config.vehicle.length_m
    ahead &= (around.gap_m > 0.0) | (around.side_m <= 0.0)
    gap = np.maximum(0.0, around.gap_m - rss.standoff_m)
    dangerous = ahead & (gap < along) & (around.side_m < across)
    against = around.along_mps < -AGAINST_MPS
    front = np.where(against, around.along_mps, np.maximum(0.0, around.along_mps))
    braking = np.where(dangerous, needed_braking(speed_mps, front, gap, rss), 0.0)
    needed = float(np.where(beside, np.maximum(braking, rss.brake_min_mps2), braking).max())
    tripped = bool((dangerous | beside).any())
    rule = Rule("last_resort", needed, rss.brake_min_mps2, tripped, "m/s^2")
    # More than stops it within a frame is of no use; standing, it must only not start.
    enough = max(-config.manoeuvre.hold_mps2, abs(speed_mps) / FRAME_S)
    return rule, min(needed, enough) if rss.brakes else 0.0
