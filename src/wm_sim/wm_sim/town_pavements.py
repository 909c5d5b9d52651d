"""Where the map has pavements: the distance between the lanes of cars and the sidewalk."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping

import carla
import numpy as np

from wm_sim.alignment import is_car_lane, lane_shape

_REACH_M = 8.0  # a sidewalk beyond that belongs to something else


def _gap_to_sidewalk(waypoint: carla.Waypoint) -> float | None:
    """Width of what lies between a driving lane and the sidewalk to its right, m."""
    gap, here = 0.0, waypoint.get_right_lane()
    while here is not None and gap <= _REACH_M:
        if here.lane_type == carla.LaneType.Sidewalk:
            return gap
        if here.lane_type == carla.LaneType.Driving:
            return None
        gap += here.lane_width
        here = here.get_right_lane()
    return None


def _middle(lane: ET.Element) -> np.ndarray:
    """(2,) the point halfway along a SUMO lane."""
    shape = lane_shape(lane)
    along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(shape, axis=0).T))]
    return np.array([np.interp(along[-1] / 2, along, shape[:, i]) for i in (0, 1)])


def pavement_gaps(net: ET.Element, carla_map: carla.Map) -> dict[str, float | None]:
    """SUMO edge -> m between its rightmost lane and the sidewalk, None where there is no sidewalk.

    Empty for a map without any sidewalk.
    """
    gaps: dict[str, float | None] = {}
    for edge in net.iter("edge"):
        lanes = [lane for lane in edge.iter("lane") if is_car_lane(lane)]
        if edge.get("function", "normal") != "normal" or not lanes:
            continue
        x, y = _middle(lanes[0])
        waypoint = carla_map.get_waypoint(carla.Location(float(x), float(-y), 0.0))
        gaps[edge.attrib["id"]] = None if waypoint is None else _gap_to_sidewalk(waypoint)
    return gaps if any(gap is not None for gap in gaps.values()) else {}


def move_pavements(walk_net: ET.Element, gaps: Mapping[str, float | None]) -> None:
    """Push the pavements of a walk network outwards, onto the sidewalks of the map."""
    for edge in walk_net.iter("edge"):
        gap = gaps.get(edge.attrib["id"]) or 0.0
        for lane in edge.iter("lane"):
            if is_car_lane(lane) or gap == 0.0:
                continue
            shape = lane_shape(lane)
            heading = np.gradient(shape, axis=0)
            length = np.maximum(np.hypot(*heading.T), 1e-6)[:, None]
            right = np.stack([heading[:, 1], -heading[:, 0]], 1) / length
            lane.set("shape", " ".join(f"{x:.2f},{y:.2f}" for x, y in shape + gap * right))
