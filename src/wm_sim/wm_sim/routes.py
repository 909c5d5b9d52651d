"""Routes through a town: a small planner over ``carla.Map`` topology, and the route suites.

(CARLA's own ``agents`` package is not part of the ``carla`` wheel.)
"""

from __future__ import annotations

import heapq
import zlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import carla
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.route import Route
from wm_sim.town_files import load_town

MIN_LENGTH_M, MAX_LENGTH_M = 300, 400
MIN_JUNCTIONS = 2
SUITES = ("default",)
ROUTES_PER_TOWN = 24

_SMOOTHING_POINTS = 5  # box filter, points 1 m apart, run twice
_U_TURN = (14, 2.0)  # (window m, heading change rad) no route may exceed
_KINK = (4, 0.85)
_SELF_DISTANCE_M = 6.0  # a route may not come this close to an earlier part of itself ...
_SELF_GAP_M = 30  # ... that lies more than this far back
_DETOUR = (0.5, 1.5)  # random factors on segment lengths, for variety
_ATTEMPTS = 4000

Node = tuple[float, float, bool]


@dataclass(frozen=True)
class Segment:
    """A stretch of lane between two nodes: (n, 2) points, map frame, and whether in a junction."""

    points: np.ndarray
    junction: bool


def _node(waypoint: carla.Waypoint) -> Node:
    location = waypoint.transform.location
    return round(location.x, 1), round(location.y, 1), waypoint.lane_id > 0


def _walk(start: carla.Waypoint, end: carla.Waypoint) -> Segment:
    """Follow the lane from one topology waypoint to the next in 1 m steps."""
    path, here = [start], start
    goal = end.transform.location
    for _ in range(2000):
        if here.transform.location.distance(goal) < 2.0:
            break
        following = here.next(1.0)
        if not following:
            break
        here = min(
            following,
            key=lambda w: (
                w.road_id not in (start.road_id, end.road_id),
                w.transform.location.distance(goal),
            ),
        )
        path.append(here)
    points = np.array([(w.transform.location.x, -w.transform.location.y) for w in path])
    return Segment(points, start.is_junction)


def _smooth(points: np.ndarray) -> np.ndarray:
    """Box filter (n, 2) points along the route; the ends stay."""
    pad = _SMOOTHING_POINTS // 2
    kernel = np.ones(_SMOOTHING_POINTS) / _SMOOTHING_POINTS
    for _ in range(2):
        padded = np.pad(points, ((pad, pad), (0, 0)), "edge")
        filtered = np.stack([np.convolve(padded[:, i], kernel, "valid") for i in (0, 1)], 1)
        filtered[: pad + 1], filtered[-pad - 1 :] = points[: pad + 1], points[-pad - 1 :]
        points = filtered
    return points


def is_drivable(points: np.ndarray) -> bool:
    """Whether (n, 2) points at 1 m have no U-turn, no kink and do not meet themselves."""
    heading = np.unwrap(np.arctan2(*np.diff(points, axis=0).T[::-1]))
    for window, limit in (_U_TURN, _KINK):
        if len(heading) > window and np.abs(heading[window:] - heading[:-window]).max() > limit:
            return False
    coarse = points[::3]
    distance = np.hypot(*(coarse[:, None] - coarse[None]).transpose(2, 0, 1))
    gap = 3 * np.abs(np.arange(len(coarse))[:, None] - np.arange(len(coarse))[None])
    return not (distance[gap > _SELF_GAP_M] < _SELF_DISTANCE_M).any()


class Router:
    """Plans routes along the driving lanes of a map.

    Args:
        carla_map: an offline or live ``carla.Map``.
    """

    def __init__(self, carla_map: carla.Map) -> None:
        found = {(_node(a), _node(b)): _walk(a, b) for a, b in carla_map.get_topology()}
        # carla does not promise the order of its topology
        self._segments: dict[tuple[Node, Node], Segment] = dict(
            sorted(found.items(), key=lambda item: item[0])
        )
        self._next: dict[Node, list[Node]] = {}
        for a, b in self._segments:
            self._next.setdefault(a, []).append(b)
        self.nodes: list[Node] = sorted(self._next)

    def _path(self, start: Node, goal: Node, weight: dict[tuple[Node, Node], float]) -> list[Node]:
        """Dijkstra; the nodes from start to goal, empty when unreachable."""
        cost, queue = {start: 0.0}, [(0.0, start)]
        previous: dict[Node, Node] = {}
        while queue:
            so_far, here = heapq.heappop(queue)
            if here == goal:
                path = [goal]
                while path[-1] != start:
                    path.append(previous[path[-1]])
                return path[::-1]
            if so_far > cost[here]:
                continue
            for there in self._next.get(here, ()):
                total = so_far + weight[here, there]
                if total < cost.get(there, np.inf):
                    cost[there], previous[there] = total, here
                    heapq.heappush(queue, (total, there))
        return []

    def random_route(
        self,
        rng: np.random.Generator,
        min_length_m: int = MIN_LENGTH_M,
        max_length_m: int = MAX_LENGTH_M,
    ) -> Route:
        """A random route that starts anywhere on a road and crosses two junctions or more.

        Raises:
            UserError: the town is too small for such a route.
        """
        for _ in range(_ATTEMPTS):
            start, goal = (self.nodes[i] for i in rng.integers(len(self.nodes), size=2))
            weight = {
                key: len(segment.points) * factor
                for (key, segment), factor in zip(
                    self._segments.items(),
                    rng.uniform(*_DETOUR, len(self._segments)),
                    strict=True,
                )
            }
            path = self._path(start, goal, weight)
            if len(path) < 2 or self._segments[path[0], path[1]].junction:
                continue
            route = self._cut(path, int(rng.integers(min_length_m + 6, max_length_m + 1)), rng)
            if route is not None:
                return route
        raise UserError(f"no route of {min_length_m} m with {MIN_JUNCTIONS} junctions in this town")

    def _cut(self, path: list[Node], length_m: int, rng: np.random.Generator) -> Route | None:
        """The first ``length_m`` of a path after a random offset, or None when it will not do."""
        segments = [self._segments[pair] for pair in pairwise(path)]
        # Where two streets meet, OpenDRIVE has a junction too, but there is no way to choose.
        forks = [len(self._next[node]) > 1 for node in path[:-1]]
        junction = np.concatenate(
            [
                np.full(len(segment.points), segment.junction and fork)
                for segment, fork in zip(segments, forks, strict=True)
            ]
        )
        points = np.concatenate([s.points for s in segments])
        step = np.hypot(*np.diff(points, axis=0).T)
        keep = np.r_[True, step > 0.3]
        points, junction = points[keep], junction[keep]
        along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
        offset = rng.uniform(0.0, max(0.0, 0.8 * len(segments[0].points) - 20.0))
        if along[-1] < offset + length_m:
            return None
        at = offset + np.arange(length_m + 1.0)
        inside = junction[np.clip(np.searchsorted(along, at), 0, len(along) - 1)]
        crossed = int((inside[:-1] & ~inside[1:]).sum())
        if crossed < MIN_JUNCTIONS:
            return None
        even = np.stack([np.interp(at, along, points[:, i]) for i in (0, 1)], 1)
        route = Route(_smooth(even))
        return route if is_drivable(route.points) else None


@lru_cache(maxsize=16)
def load_router(town: str) -> Router:
    """The router of a shipped town.

    Raises:
        UserError: there is no such town.
    """
    return Router(carla.Map(town, load_town(town).xodr_text))


@lru_cache(maxsize=32)
def route_list(town: str, suite: str = "default") -> tuple[Route, ...]:
    """The fixed routes of a town: 24 of 300-400 m; route i is always the same.

    Raises:
        UserError: there is no such town or suite.
    """
    if suite not in SUITES:
        raise UserError(f"unknown route suite '{suite}'; known suites: {', '.join(SUITES)}")
    router = load_router(town)
    rng = np.random.default_rng(zlib.crc32(f"{town}/{suite}".encode()))
    routes: list[Route] = []
    while len(routes) < ROUTES_PER_TOWN:
        route = router.random_route(rng)
        ends = route.points[[0, -1]]
        if all(np.hypot(*(ends - r.points[[0, -1]]).T).max() > 15.0 for r in routes):
            routes.append(route)
    return tuple(routes)
