"""The driving lanes of a ``carla.Map`` as a graph: stretches of lane, and changes between them."""

from __future__ import annotations

from dataclasses import dataclass

import carla
import numpy as np

LANE_CHANGE_M = 30  # length over which a route moves to the next lane
LANE_CHANGE_COST_M = 40.0  # a change is worth this detour
_NEIGHBOUR_M = 5.5  # lane centres further apart are not next to each other

Node = tuple[float, float, bool]
Pair = tuple[Node, Node]


@dataclass(frozen=True)
class Segment:
    """A stretch of lane between two nodes.

    Attributes:
        points: (n, 2) about 1 m apart, map frame.
        junction: whether it lies inside a junction.
        change: whether it moves to a parallel lane.
    """

    points: np.ndarray
    junction: bool
    change: bool = False

    @property
    def cost_m(self) -> float:
        """Its length, with what a lane change is worth to avoid."""
        return len(self.points) + LANE_CHANGE_COST_M * self.change


@dataclass(frozen=True)
class LaneGraph:
    """Where one can drive.

    Attributes:
        segments: by the nodes they join, in a fixed order.
        parallel: node -> nodes at the starts of the lanes to change to.
    """

    segments: dict[Pair, Segment]
    parallel: dict[Node, list[Node]]


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


def change_lane(from_lane: np.ndarray, to_lane: np.ndarray, first: int) -> np.ndarray | None:
    """(m, 2) points along one lane that move to a parallel one, to its end.

    Args:
        from_lane: (n, 2) points, 1 m apart.
        to_lane: (k, 2) points of the other lane, 1 m apart.
        first: index of ``from_lane`` where the change begins.

    Returns:
        None when one of the lanes ends before the change does, or the other is not beside it.
    """
    distance = np.hypot(*(to_lane - from_lane[min(first, len(from_lane) - 1)]).T)
    beside = int(distance.argmin())
    last, arrived = first + LANE_CHANGE_M, beside + LANE_CHANGE_M
    if last >= len(from_lane) or arrived >= len(to_lane) or distance[beside] > _NEIGHBOUR_M:
        return None
    t = np.linspace(0.0, 1.0, LANE_CHANGE_M + 1)[:, None]
    blend = t * t * (3.0 - 2.0 * t)
    moving = (1.0 - blend) * from_lane[first : last + 1] + blend * to_lane[beside : arrived + 1]
    return np.concatenate([from_lane[:first], moving, to_lane[arrived + 1 :]])


def _neighbours(waypoint: carla.Waypoint) -> list[carla.Waypoint]:
    """The driving lanes of the same direction beside a waypoint that may be changed to."""
    allowed = waypoint.lane_change
    sides = []
    if allowed in (carla.LaneChange.Left, carla.LaneChange.Both):
        sides.append(waypoint.get_left_lane())
    if allowed in (carla.LaneChange.Right, carla.LaneChange.Both):
        sides.append(waypoint.get_right_lane())
    return [
        side
        for side in sides
        if side is not None
        and side.lane_type == carla.LaneType.Driving
        and side.lane_id * waypoint.lane_id > 0
    ]


def _lane_changes(
    segments: dict[Pair, Segment], parallel: dict[Node, list[Node]]
) -> dict[Pair, Segment]:
    """A segment from the start of each lane to the end of each lane beside it."""
    ends: dict[Node, list[Node]] = {}
    for a, b in segments:
        ends.setdefault(a, []).append(b)
    changes = {}
    for start, others in parallel.items():
        for other in others:
            for end in ends.get(other, ()):
                here = max((segments[start, e].points for e in ends.get(start, ())), key=len)
                middle = max(0, (len(here) - LANE_CHANGE_M) // 2)
                points = change_lane(here, segments[other, end].points, middle)
                if points is not None and (start, end) not in segments:
                    changes[start, end] = Segment(points, junction=False, change=True)
    return changes


def lane_graph(carla_map: carla.Map, closed_roads: frozenset[int] = frozenset()) -> LaneGraph:
    """The graph of a map.

    Args:
        carla_map: an offline or live ``carla.Map``.
        closed_roads: OpenDRIVE roads that are left out.
    """
    found: dict[Pair, Segment] = {}
    parallel: dict[Node, list[Node]] = {}
    for a, b in carla_map.get_topology():
        if a.road_id in closed_roads or b.road_id in closed_roads:
            continue
        found[_node(a), _node(b)] = _walk(a, b)
        if not a.is_junction:
            parallel[_node(a)] = sorted(_node(n) for n in _neighbours(a))
    # carla does not promise the order of its topology
    segments = dict(sorted(found.items(), key=lambda item: item[0]))
    changes = _lane_changes(segments, dict(sorted(parallel.items())))
    segments.update(sorted(changes.items(), key=lambda item: item[0]))
    return LaneGraph(segments, parallel)
