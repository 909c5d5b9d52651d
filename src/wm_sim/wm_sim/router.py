"""A planner over the lanes of a ``carla.Map`` (CARLA's own is not part of the ``carla`` wheel)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from itertools import pairwise

import carla
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import wrap_angle
from wm_perception.route import Route
from wm_sim.router_graph import Node, Pair, Segment, change_lane, lane_graph

MIN_LENGTH_M, MAX_LENGTH_M = 300, 400
MIN_JUNCTIONS = 2

_SMOOTHING_POINTS = 5  # box filter, points 1 m apart, run twice
_U_TURN = (14, 2.0)  # (window m, heading change rad) no route may exceed
_KINK = (4, 0.85)
_SELF_DISTANCE_M = 6.0  # a route may not come this close to an earlier part of itself ...
_SELF_GAP_M = 30  # ... that lies more than this far back
_DETOUR = (0.5, 1.5)  # random factors on segment lengths, for variety
_ATTEMPTS = 4000
_NEAR_M = 8.0  # a start or goal further from every lane lies off the road
_AS_NEAR_M = 0.5  # lanes that are nearer than the nearest one plus this are as good
_THERE_M = 2.0  # a goal this close has been reached


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
        closed_roads: OpenDRIVE roads that no route may use.
    """

    def __init__(self, carla_map: carla.Map, closed_roads: frozenset[int] = frozenset()) -> None:
        graph = lane_graph(carla_map, closed_roads)
        self._segments, self._parallel = graph.segments, graph.parallel
        self._next: dict[Node, list[Node]] = {}
        for a, b in self._segments:
            self._next.setdefault(a, []).append(b)
        self.nodes: list[Node] = sorted(self._next)

    def _reach(
        self, starts: Mapping[Node, float], weight: Mapping[Pair, float], goal: Node | None = None
    ) -> tuple[dict[Node, float], dict[Node, Node]]:
        """Dijkstra: cost of every node, or until ``goal`` is found, and the node before it."""
        cost = dict(starts)
        queue = [(total, node) for node, total in starts.items()]
        heapq.heapify(queue)
        previous: dict[Node, Node] = {}
        while queue:
            so_far, here = heapq.heappop(queue)
            if here == goal:
                break
            if so_far > cost[here]:
                continue
            for there in self._next.get(here, ()):
                total = so_far + weight[here, there]
                if total < cost.get(there, np.inf):
                    cost[there], previous[there] = total, here
                    heapq.heappush(queue, (total, there))
        return cost, previous

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
                key: segment.cost_m * factor
                for (key, segment), factor in zip(
                    self._segments.items(),
                    rng.uniform(*_DETOUR, len(self._segments)),
                    strict=True,
                )
            }
            cost, previous = self._reach({start: 0.0}, weight, goal)
            path = _trace(goal, previous) if goal in cost else []
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

    def plan(self, start: tuple[float, float, float], goal: tuple[float, float]) -> Route:
        """The shortest route from a pose to a place, along lanes, with lane changes.

        Args:
            start: x, y (m) and heading (rad), map frame; the route starts on the nearest lane that
                leads in about this direction.
            goal: x, y (m), map frame; the route ends where a lane passes it.

        Raises:
            UserError: one of them is not finite or not near a lane, the goal has been reached, or
                no way leads there.
        """
        if not all(map(math.isfinite, (*start, *goal))):
            raise UserError(f"start {start} and goal {goal} must be finite")
        here, there = np.array(start[:2]), np.array(goal)
        leaving = self._lanes_at(here, start[2])
        entering = self._lanes_at(there)
        if not leaving or not entering:
            place = here if not leaving else there
            raise UserError(
                f"({place[0]:.1f}, {place[1]:.1f}) is not within {_NEAR_M:.0f} m of a lane"
                + ("" if leaving else " that leads in the direction of the start")
            )
        points = self._shortest(leaving, entering)
        if points is None:
            raise UserError(f"no way leads from ({here[0]:.1f}, {here[1]:.1f}) to {goal}")
        step = np.hypot(*np.diff(points, axis=0).T)
        points = points[np.r_[True, step > 0.3]]
        if np.hypot(*np.diff(points, axis=0).T).sum() < _THERE_M:
            raise UserError(f"the goal {goal} has been reached already")
        return Route(_smooth(Route(points).points))

    def _lanes_at(self, place: np.ndarray, yaw: float | None = None) -> dict[Pair, int]:
        """The stretches of lane at a place (2,), with the index of their point nearest to it."""
        found: dict[Pair, tuple[float, int]] = {}
        for pair, segment in self._segments.items():
            if segment.change or len(segment.points) < 2:
                continue
            distance = np.hypot(*(segment.points - place).T)
            index = int(distance.argmin())
            if yaw is not None:
                after = min(index, len(segment.points) - 2)
                dx, dy = segment.points[after + 1] - segment.points[after]
                if abs(wrap_angle(math.atan2(dy, dx) - yaw)) > math.pi / 2:
                    continue
            if distance[index] < _NEAR_M:
                found[pair] = float(distance[index]), index
        nearest = min((distance for distance, _ in found.values()), default=0.0)
        return {
            pair: index
            for pair, (distance, index) in found.items()
            if distance < nearest + _AS_NEAR_M
        }

    def _first_steps(self, pair: Pair, index: int) -> list[tuple[Pair, np.ndarray, int, float]]:
        """Where one can go on a stretch of lane without passing a node.

        Returns:
            (stretch, points to its end, index in the stretch of the last of those points that is
            still on the lane of ``pair``, extra cost) for the lane itself and those beside it.
        """
        points = self._segments[pair].points[index:]
        steps = [(pair, points, index, 0.0)]
        for other in self._parallel.get(pair[0], ()):
            for end in self._next.get(other, ()):
                beside = self._segments[other, end]
                if (
                    not beside.change
                    and (moved := change_lane(points, beside.points, 0)) is not None
                ):
                    arrived = len(beside.points) - (len(moved) - 1)
                    cost = Segment(moved, False, True).cost_m - len(moved)
                    steps.append(((other, end), moved, arrived, cost))
        return steps

    def _shortest(self, leaving: dict[Pair, int], entering: dict[Pair, int]) -> np.ndarray | None:
        """(n, 2) points of the cheapest way between two places, None when there is none."""
        weight = {pair: segment.cost_m for pair, segment in self._segments.items()}
        best: tuple[float, np.ndarray | None] = (math.inf, None)
        starts: dict[Node, float] = {}
        heads: dict[Node, np.ndarray] = {}
        for pair, index in leaving.items():
            for lane, points, first, extra in self._first_steps(pair, index):
                goal = entering.get(lane)
                left = len(self._segments[lane].points) - goal if goal is not None else 0
                if goal is not None and goal >= first and len(points) > left:
                    head = points[: len(points) - left + 1]
                    best = min(best, (len(head) + extra, head), key=lambda item: item[0])
                if len(points) + extra < starts.get(lane[1], math.inf):
                    starts[lane[1]], heads[lane[1]] = len(points) + extra, points
        cost, previous = self._reach(starts, weight)
        for pair, index in entering.items():
            total = cost.get(pair[0], math.inf) + index
            if total < best[0]:
                path = _trace(pair[0], previous)
                middle = [self._segments[step].points for step in pairwise(path)]
                tail = self._segments[pair].points[: index + 1]
                best = total, np.concatenate([heads[path[0]], *middle, tail])
        return best[1]


def _trace(goal: Node, previous: Mapping[Node, Node]) -> list[Node]:
    """The nodes of a Dijkstra path, from its start to ``goal``."""
    path = [goal]
    while path[-1] in previous:
        path.append(previous[path[-1]])
    return path[::-1]
