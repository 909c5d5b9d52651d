"""The line that an actor of a scenario follows, found on the map at the scenario's site."""

from __future__ import annotations

import math
from dataclasses import dataclass

import carla
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_sim.scenarios.actor_spec import AcrossPath, ActorSpec, ApproachPath, LanePath, RoutePath
from wm_sim.scenarios.lanes import along_lane, lane_beside
from wm_sim.scenarios.sites import Site

ONCOMING_LANE_M = 3.5  # centre to centre
MEETING_M = 0.8  # a lane joins the route where their centres are this close


@dataclass(frozen=True)
class Track:
    """The line that an actor follows.

    Attributes:
        scene: its path with the lights along it.
        start_m: station on the path where it starts.
        meeting_m: station where the path meets the ego's route, None where it does not cross.
        route_meeting_m: the same place as a station of the ego's route.
        offset_m: added to lateral offsets: where the actor starts beside the path.
        route_sign: +1 along the ego's route, -1 against it, 0 on another path.
        route_zero_m: station of the ego's route at station 0 of the path.
        yaw: turned against the path.
    """

    scene: Scene
    start_m: float
    meeting_m: float | None = None
    route_meeting_m: float = 0.0
    offset_m: float = 0.0
    route_sign: int = 0
    route_zero_m: float = 0.0
    yaw: float = 0.0

    @property
    def path(self) -> Route:
        """The centre line."""
        return self.scene.route


def make_track(
    spec: ActorSpec, site: Site, scene: Scene, ego_m: float, shift_m: float = 0.0
) -> Track:
    """The line of an actor at a site, ``shift_m`` further along the route than it asks for."""
    path = spec.path
    if isinstance(path, ApproachPath):
        crossing = site.crossings[path.arm]
        start = max(0.0, crossing.path_m - path.before_m - shift_m)
        along = Scene(scene.town, crossing.path)
        return Track(along, start, crossing.path_m, crossing.route_m)
    if isinstance(path, LanePath):
        return _beside_track(path, site, scene, shift_m)
    if isinstance(path, AcrossPath):
        station = site.anchor_m + path.along_m + shift_m
        sides = (path.from_lateral_m, path.to_lateral_m)
        line = Route(np.array([_beside(scene.route, station, side) for side in sides]))
        return Track(Scene(scene.town, line), 0.0, abs(path.from_lateral_m), station)
    return _route_track(path, site, scene, ego_m, shift_m)


def _beside_track(path: LanePath, site: Site, scene: Scene, shift_m: float) -> Track:
    """In the neighbouring lane; it meets the route where the route changes into that lane."""
    index = round(site.anchor_m)
    x, y = scene.route.points[index]
    own = scene.town.carla_map.get_waypoint(carla.Location(float(x), float(-y), 0.0))
    lane = lane_beside(own, path.side)
    if lane is None:
        raise UserError(f"there is no lane on the {path.side} of the route at {index} m")
    line, station = along_lane(lane)
    ahead = scene.route.points[index:]
    gaps = np.hypot(*(ahead[:, None] - line.points[None]).transpose(2, 0, 1))
    joins = np.flatnonzero(gaps.min(1) < MEETING_M)
    meets = int(joins[0]) if len(joins) else None
    return Track(
        Scene(scene.town, line), station + path.along_m + shift_m, route_sign=1,
        route_zero_m=site.anchor_m - station,
        meeting_m=None if meets is None else float(gaps[meets].argmin()),
        route_meeting_m=0.0 if meets is None else float(index + meets),
    )  # fmt: skip


def _route_track(path: RoutePath, site: Site, scene: Scene, ego_m: float, shift_m: float) -> Track:
    if path.ahead_of_ego_m is None:
        station = site.anchor_m + path.along_m + shift_m
    else:
        station = ego_m + path.ahead_of_ego_m + shift_m
    if not path.oncoming:
        return Track(scene, station, offset_m=path.lateral_m, route_sign=1, yaw=path.yaw)
    length = scene.route.length_m
    points = np.array(
        [_beside(scene.route, s, ONCOMING_LANE_M) for s in np.arange(length, -0.5, -1.0)]
    )
    oncoming = Route(points)
    start = float(oncoming.nearest_index(*_beside(scene.route, station, ONCOMING_LANE_M)))
    return Track(
        Scene(scene.town, oncoming), start, offset_m=path.lateral_m, route_sign=-1,
        route_zero_m=length, yaw=path.yaw,
    )  # fmt: skip


def _beside(route: Route, station: float, lateral_m: float) -> tuple[float, float]:
    """The point left of a station of the route."""
    x, y = route.sample(np.array(station))
    heading = route.headings[min(max(round(station), 0), len(route) - 1)]
    return float(x - lateral_m * math.sin(heading)), float(y + lateral_m * math.cos(heading))
