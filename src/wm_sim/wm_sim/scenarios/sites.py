"""Where on a route a scenario fits: straights, junctions and the lanes that cross the route there.

Everything is read from the offline ``carla.Map`` along the route, so it works in any town.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import carla
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import wrap_angle
from wm_perception.route import SPACING_M, Route
from wm_perception.scene import Scene
from wm_sim.scenarios.actor_spec import Side
from wm_sim.scenarios.lanes import is_ring, lane_beside, through_junction, yaw_of
from wm_sim.scenarios.spec import AnySite, BendSite, JunctionSite, StraightSite

FIRST_ANCHOR_M = 25.0  # room for the ego to start
AFTER_JUNCTION_M = 25.0  # of route that must follow a junction
TURN_RAD = 0.6  # a route that changes its heading by more than this turns
STOP_SIGN = "206"  # type of the landmark in CARLA's maps
SIGN_REACH_M = 15.0  # a stop sign stands this close to the line
STOP_LINE_M = (-12.0, 5.0)  # where a junction's stop line may be, from its entry
ONCOMING_RAD, SIDE_RAD = 2.4, 0.5  # lanes turned more than this are oncoming, or from a side
MEETING_M = 0.8  # two lane centres closer than this meet


@dataclass(frozen=True)
class Crossing:
    """A lane that crosses or joins the route in a junction.

    Attributes:
        path: the lane, from ``lanes.ARM_M`` before the junction to as far behind it.
        path_m: station on the path where it meets the route.
        route_m: station on the route where that is.
        merges: path and route go on in the same lane.
        ring: the path is part of a roundabout.
    """

    path: Route
    path_m: float
    route_m: float
    merges: bool
    ring: bool


@dataclass(frozen=True)
class Site:
    """A place on a route.

    Attributes:
        anchor_m: station on the route that a scenario measures from.
        crossings: by the arm they come from.
    """

    anchor_m: float
    crossings: dict[Side, Crossing] = field(default_factory=dict)


def find_site(query: AnySite, scene: Scene) -> Site:
    """The first place on the scene's route that fits.

    Raises:
        UserError: the route has none.
    """
    waypoints = [
        scene.town.carla_map.get_waypoint(carla.Location(float(x), float(-y), 0.0))
        for x, y in scene.route.points
    ]
    if isinstance(query, StraightSite):
        site = _find_straight(query, scene.route, waypoints)
    elif isinstance(query, BendSite):
        site = _find_bend(query, scene.route, waypoints)
    else:
        site = _find_junction(query, scene, waypoints)
    if site is None:
        raise UserError(
            f"no place on this route of '{scene.town.name}' fits: {query.model_dump_json()}; "
            "choose another route, or a town that the scenario names"
        )
    return site


def _find_straight(
    query: StraightSite, route: Route, waypoints: list[carla.Waypoint]
) -> Site | None:
    beside = query.beside
    fits = np.array(
        [
            not w.is_junction and (beside is None or lane_beside(w, beside) is not None)
            for w in waypoints
        ]
    )
    run_up, length = round(query.run_up_m), round(query.length_m)
    for anchor in range(max(run_up, round(FIRST_ANCHOR_M)), len(waypoints) - length):
        headings = route.headings[anchor - run_up : anchor + length]
        if fits[anchor - run_up : anchor + length].all() and np.ptp(headings) <= query.bend_rad:
            return Site(anchor * SPACING_M)
    return None


def _find_bend(query: BendSite, route: Route, waypoints: list[carla.Waypoint]) -> Site | None:
    sign, within = (1 if query.turn == "left" else -1), round(query.within_m)
    fork = np.array([w.is_junction and len(_lanes(w.get_junction())) > 2 for w in waypoints])
    for anchor in range(round(FIRST_ANCHOR_M), len(route) - within - 20):
        turned = route.headings[anchor + within] - route.headings[anchor]
        if sign * turned >= query.turn_rad and not fork[anchor - 15 : anchor + within + 20].any():
            return Site(anchor * SPACING_M)
    return None


def _lanes(junction: carla.Junction) -> list[tuple[carla.Waypoint, carla.Waypoint]]:
    """Begin and end of every driving lane in a junction."""
    return junction.get_waypoints(carla.LaneType.Driving)


def _find_junction(
    query: JunctionSite, scene: Scene, waypoints: list[carla.Waypoint]
) -> Site | None:
    run_up = round(query.run_up_m)
    index = 0
    for junction_id, group in groupby(waypoints, _junction_id):
        entry, index = index, index + len(list(group))
        if junction_id is None or entry < max(run_up, FIRST_ANCHOR_M):
            continue
        if index + AFTER_JUNCTION_M > len(waypoints):
            continue
        if any(w.is_junction for w in waypoints[entry - run_up : entry]):
            continue
        site = _junction_site(query, scene, waypoints[entry].get_junction(), entry, index)
        if site is not None:
            return site
    return None


def _junction_id(waypoint: carla.Waypoint) -> int | None:
    return waypoint.get_junction().id if waypoint.is_junction else None


def _junction_site(
    query: JunctionSite, scene: Scene, junction: carla.Junction, entry: int, leave: int
) -> Site | None:
    route = scene.route
    lanes = _lanes(junction)
    if len({(begin.road_id, begin.lane_id) for begin, _ in lanes}) < 2 or len(lanes) < 3:
        return None
    turn = float(route.headings[min(leave + 2, len(route) - 1)] - route.headings[entry - 2])
    side = "straight" if abs(turn) < TURN_RAD else "left" if turn > 0 else "right"
    if query.turn not in ("any", side):
        return None
    lit = light_at(scene, entry * SPACING_M) is not None
    if query.lights is not None and lit != query.lights:
        return None
    if query.stop_sign is not None and has_stop_sign(scene, entry) != query.stop_sign:
        return None
    crossings = {}
    for arm in query.approaches:
        found = [c for c in _crossings(route, lanes, arm, entry, leave) if _suits(c, query)]
        if not found:
            return None
        crossings[arm] = found[0]
    return Site(entry * SPACING_M, crossings)


def light_at(scene: Scene, anchor_m: float) -> int | None:
    """Id of the light that stops the route at a junction's entry, or None."""
    low, high = STOP_LINE_M
    near = (light.id for light in scene.route_lights if low <= light.stop_s - anchor_m <= high)
    return next(near, None)


def has_stop_sign(scene: Scene, entry: int) -> bool:
    """Whether the map has a stop sign for the route's lane shortly before a station."""
    x, y = scene.route.points[entry - 2]
    here = scene.town.carla_map.get_waypoint(carla.Location(float(x), float(-y), 0.0))
    signs = scene.town.carla_map.get_all_landmarks_of_type(STOP_SIGN)
    return any(
        sign.road_id == here.road_id
        and abs(sign.s - here.s) < SIGN_REACH_M
        and any(low <= here.lane_id <= high for low, high in sign.get_lane_validities())
        for sign in signs
    )


def _suits(crossing: Crossing, query: JunctionSite) -> bool:
    return crossing.ring == query.ring and crossing.merges == query.merge


def _crossings(route: Route, lanes, arm: Side, entry: int, leave: int) -> list[Crossing]:
    """Lanes from an arm that meet the route in the junction, the straightest first."""
    heading = float(route.headings[entry - 2])
    found: list[tuple[float, Crossing]] = []
    for begin, end in lanes:
        before = yaw_of(begin)
        if _arm(wrap_angle(before - heading)) != arm:
            continue
        path, start_m, end_m = through_junction(begin, end)
        crossing = _meeting(route, path, (start_m, end_m), entry, leave)
        if crossing is not None:
            bend = abs(wrap_angle(yaw_of(end) - before))
            path_m, route_m, merges = crossing
            found.append((bend, Crossing(path, path_m, route_m, merges, is_ring(begin, end))))
    return [crossing for _, crossing in sorted(found, key=lambda item: item[0])]


def _arm(turned: float) -> Side | None:
    """The arm that a lane comes from which is turned against the ego's lane by an angle."""
    if abs(turned) > ONCOMING_RAD:
        return "oncoming"
    if abs(turned) > SIDE_RAD:
        return "right" if turned > 0 else "left"
    return None


def _meeting(
    route: Route, path: Route, inside: tuple[float, float], entry: int, leave: int
) -> tuple[float, float, bool] | None:
    """(path station, route station, merges) of the point where a path first meets the route."""
    low, high = round(inside[0]), min(round(inside[1]) + 6, len(path))
    near_path = path.points[low:high]
    near_route = route.points[entry : leave + 6]
    distance = np.hypot(*(near_path[:, None] - near_route[None]).transpose(2, 0, 1))
    closest = distance.min(1)
    if closest.min() > MEETING_M:
        return None
    first = int(np.argmax(closest < MEETING_M))
    merges = bool((closest[-5:] < MEETING_M).all())
    if not merges:
        first = int(closest.argmin())
    return (low + first) * SPACING_M, (entry + int(distance[first].argmin())) * SPACING_M, merges
