"""Where other vehicles may come from: the lanes that cross or join a route, and their approaches.

A *thread* is one way along the lanes of the map that leads into a place where it meets the route:
the approach (up to 70 m), then the lane through the junction. Threads are found once per route,
from the lane borders of the town, so that a frame only has to match vehicles with them.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import wrap_angle
from wm_perception.frame import LightBox
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_perception.town_map import LaneStrip, TownMap

# Two vehicles whose centre lines are closer than this may touch: two half widths and 0.4 m.
CONFLICT_M = 2.25
APPROACH_M = 70.0  # how far back a thread reaches from where it meets the route
MERGE_M = 8.0  # of a lane that joins the route, only this much counts: then it is the route
AREA_GAP_M = 4.0  # meeting places closer than this are one area, to be entered when all are free
JOIN_M, JOIN_RAD = 1.0, 0.5  # lanes follow each other when end and start agree this well
OWN_M, OWN_RAD = 1.0, 0.5  # a lane this close to the route is the route's own
_MAX_APPROACHES = 6
_CELL_M = 4.0
_TWICE_M = 40.0  # the same lane met again this much later along the route is another meeting


@dataclass(frozen=True)
class Lane:
    """One lane piece in the direction of travel.

    Attributes:
        points: (n, 2) centre line, m.
        yaw: (n,) direction, rad.
        arc: (n,) arc length, m.
        before: indices of the lanes that lead into it.
    """

    points: np.ndarray
    yaw: np.ndarray
    arc: np.ndarray
    before: tuple[int, ...] = ()


@dataclass(frozen=True)
class Thread:
    """A way into the route's path.

    Attributes:
        points: (n, 2) centre line, m.
        yaw: (n,) direction, rad.
        arc: (n,) arc length, m.
        enter, leave: arc lengths between which it is within ``CONFLICT_M`` of the route.
        route_enter, route_leave: stations of the route within ``CONFLICT_M`` of it, m.
        angle: direction of the thread where it meets the route, seen from the route, rad.
        merges: it joins the route rather than crossing it.
        light: id of the light that governs it, 0 for none.
        light_arc: arc length of that light's stop line.
    """

    points: np.ndarray
    yaw: np.ndarray
    arc: np.ndarray
    enter: float
    leave: float
    route_enter: float
    route_leave: float
    angle: float
    merges: bool
    light: int = 0
    light_arc: float = 0.0


@dataclass(frozen=True)
class Area:
    """Meeting places on the route that must be crossed in one go: first and last station, m."""

    enter: float
    leave: float


def _arc(points: np.ndarray) -> np.ndarray:
    return np.r_[0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]


def _directions(points: np.ndarray) -> np.ndarray:
    tangent = np.gradient(points, axis=0)
    return np.arctan2(tangent[:, 1], tangent[:, 0])


def _lane(strip: LaneStrip) -> Lane:
    """The centre of a strip, turned so that its left border is on the left."""
    points = (strip.left + strip.right) / 2
    along, across = points[-1] - points[0], (strip.left - strip.right).mean(0)
    middle = len(points) // 2
    if len(points) > 2:  # a bend's chord may mislead
        along = points[middle] - points[middle - 1]
        across = strip.left[middle] - strip.right[middle]
    if along[0] * across[1] - along[1] * across[0] < 0:
        points = points[::-1]
    return Lane(points, _directions(points), _arc(points))


def link_lanes(strips: list[LaneStrip]) -> tuple[Lane, ...]:
    """The driving lanes of a town, each with those that lead into it."""
    lanes = [_lane(strip) for strip in strips if strip.kind == "driving"]
    if not lanes:
        return ()
    starts = np.array([[*lane.points[0], lane.yaw[0]] for lane in lanes])
    ends = np.array([[*lane.points[-1], lane.yaw[-1]] for lane in lanes])
    linked = []
    for start, lane in zip(starts, lanes, strict=True):
        near = np.hypot(*(ends[:, :2] - start[:2]).T) < JOIN_M
        same = np.abs(wrap_angle(ends[:, 2] - start[2])) < JOIN_RAD
        before = tuple(int(i) for i in np.flatnonzero(near & same))
        linked.append(Lane(lane.points, lane.yaw, lane.arc, before))
    return tuple(linked)


_LANES: weakref.WeakKeyDictionary[TownMap, tuple[Lane, ...]] = weakref.WeakKeyDictionary()


def lanes_of(town: TownMap) -> tuple[Lane, ...]:
    """The lanes of a town, found once."""
    if town not in _LANES:
        _LANES[town] = link_lanes(town.strips)
    return _LANES[town]


def _near_route(lanes: tuple[Lane, ...], route: Route) -> list[int]:
    """Lanes that may come within ``CONFLICT_M`` of the route: by cells of a coarse grid."""
    owner = np.repeat(np.arange(len(lanes)), [len(lane.points) for lane in lanes])
    cells = np.floor(np.concatenate([lane.points for lane in lanes]) / _CELL_M).astype(np.int64)
    code = cells[:, 0] * 1_000_003 + cells[:, 1]
    covered = np.floor(route.points / _CELL_M).astype(np.int64)
    around = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), -1).reshape(-1, 2)
    wanted = (covered[:, None] + around).reshape(-1, 2)
    hit = np.isin(code, wanted[:, 0] * 1_000_003 + wanted[:, 1])
    return [int(i) for i in np.unique(owner[hit])]


@dataclass(frozen=True)
class _Meeting:
    """Where one lane meets the route: rows of the lane, stations of the route."""

    first: int
    last: int
    route_enter: float
    route_leave: float
    angle: float
    merges: bool


def _squared_distances(lane: Lane, route: Route) -> np.ndarray:
    """(n, m) squared distances between the points of a lane and of the route, m^2."""
    x = lane.points[:, :1] - route.points[:, 0]
    y = lane.points[:, 1:] - route.points[:, 1]
    return x * x + y * y


def _meetings(lane: Lane, route: Route, squared: np.ndarray) -> list[_Meeting]:
    """Every place where a lane crosses or joins the route; a lane that leaves it is none."""
    close = squared < CONFLICT_M**2
    nearest = squared.argmin(1)
    turned = np.abs(wrap_angle(lane.yaw - route.headings[nearest]))
    own = (squared.min(1) < OWN_M**2) & (turned < OWN_RAD)
    rows = close.any(1)
    edges = np.flatnonzero(np.diff(np.r_[False, rows, False].astype(int)))
    found = []
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if own[first]:  # begins on the route: its vehicles are ahead or behind, not crossing
            continue
        last = stop - 1
        joins = np.flatnonzero(own[first:stop])
        stations = np.flatnonzero(close[first:stop].any(0))
        for group in np.split(stations, np.flatnonzero(np.diff(stations) > _TWICE_M) + 1):
            enter, leave = float(group[0]), float(group[-1])
            if len(joins):
                last = min(last, first + int(joins[0]) + 1)
                leave = min(leave, enter + MERGE_M)
            middle = nearest[(first + last) // 2]
            angle = float(wrap_angle(lane.yaw[(first + last) // 2] - route.headings[middle]))
            found.append(_Meeting(int(first), int(last), enter, leave, angle, bool(len(joins))))
    return found


def _approaches(lanes: tuple[Lane, ...], index: int, own: set[int]) -> list[list[int]]:
    """Chains of lanes that end in ``index``, ``APPROACH_M`` long or as long as there are lanes."""
    done: list[list[int]] = []
    open_chains = [([index], 0.0)]
    while open_chains and len(done) < _MAX_APPROACHES:
        chain, length = open_chains.pop(0)
        before = [i for i in lanes[chain[0]].before if i not in chain and i not in own]
        if length >= APPROACH_M or not before:
            done.append(chain)
            continue
        for i in before:
            open_chains.append(([i, *chain], length + float(lanes[i].arc[-1])))
    return done


def _is_own(lane: Lane, route: Route, squared: np.ndarray) -> bool:
    """The route drives along this lane from end to end."""
    if (squared.min(1) < OWN_M**2).mean() <= 0.8:
        return False
    turned = np.abs(wrap_angle(lane.yaw - route.headings[squared.argmin(1)]))
    return bool(turned.max() < OWN_RAD)


def _governing(
    points: np.ndarray, yaw: np.ndarray, arc: np.ndarray, enter: float, boxes: tuple[LightBox, ...]
) -> tuple[int, float]:
    """The last light whose volume the approach runs through: its id and stop line, or (0, 0)."""
    best = (0, 0.0)
    for box in boxes:
        distance = np.hypot(*(points - box.center).T)
        row = int(distance.argmin())
        aligned = abs(wrap_angle(yaw[row] - box.yaw)) < 0.6
        stop = float(arc[row]) + box.length / 2
        if distance[row] < 1.6 and aligned and best[1] < stop <= enter + 2.0:
            best = (box.id, stop)
    return best


def _thread(
    lanes: tuple[Lane, ...], chain: list[int], meeting: _Meeting, boxes: tuple[LightBox, ...]
) -> Thread:
    points = np.concatenate([lanes[i].points[: -1 if i != chain[-1] else None] for i in chain])
    ahead = sum(len(lanes[i].points) - 1 for i in chain[:-1])
    points = points[: max(ahead + meeting.last + 1, 2)]
    arc = _arc(points)
    enter = float(arc[ahead + meeting.first])
    near = (arc > enter - APPROACH_M) | (arc >= arc[-2])
    points, arc, yaw = points[near], arc[near], _directions(points)[near]
    light, light_arc = _governing(points, yaw, arc, enter, boxes)
    return Thread(
        points, yaw, arc, enter, float(arc[-1]), meeting.route_enter, meeting.route_leave,
        meeting.angle, meeting.merges, light, light_arc,
    )  # fmt: skip


def find_threads(scene: Scene) -> tuple[Thread, ...]:
    """All threads of a scene's route, in the order in which the route meets them."""
    lanes = lanes_of(scene.town)
    if not lanes:
        return ()
    route = scene.route
    squared = {i: _squared_distances(lanes[i], route) for i in _near_route(lanes, route)}
    own = {i for i, distances in squared.items() if _is_own(lanes[i], route, distances)}
    middle = np.array([box.center for box in scene.lights]).reshape(-1, 2)
    threads = []
    for index, distances in squared.items():
        if index in own:
            continue
        for meeting in _meetings(lanes[index], route, distances):
            at = lanes[index].points[meeting.first]
            close = np.hypot(*(middle - at).T) < APPROACH_M
            boxes = tuple(box for box, near in zip(scene.lights, close, strict=True) if near)
            for chain in _approaches(lanes, index, own):
                threads.append(_thread(lanes, chain, meeting, boxes))
    return tuple(sorted(threads, key=lambda thread: thread.route_enter))


def find_areas(threads: tuple[Thread, ...]) -> tuple[Area, ...]:
    """Stretches of the route whose meeting places lie close together, in order."""
    areas: list[Area] = []
    for thread in threads:
        if areas and thread.route_enter <= areas[-1].leave + AREA_GAP_M:
            last = areas[-1]
            areas[-1] = Area(last.enter, max(last.leave, thread.route_leave))
        else:
            areas.append(Area(thread.route_enter, thread.route_leave))
    return tuple(areas)
