"""The map as lines, from the OpenDRIVE text that the source publishes; drawn once."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from wm_perception.town_map import LaneStrip, lane_strips
from wm_planner.markers import points, shape

TOLERANCE_M = 0.1  # that a line may be off after points were left out
UNMARKED = ("", "NONE", "Other")
NAMESPACES = {
    "lane_lines": ((0.75, 0.75, 0.75), 0.15),
    "road_edges": ((0.45, 0.45, 0.5), 0.1),
    "pavements": ((0.35, 0.4, 0.35), 0.08),
}


def read_strips(opendrive: str) -> list[LaneStrip]:
    """The lanes of an OpenDRIVE text.

    Raises:
        ValueError: it is not OpenDRIVE, or has no lanes.
    """
    import carla

    try:
        strips = lane_strips(carla.Map("map", opendrive), opendrive)
    except RuntimeError as error:
        raise ValueError(f"the map is not readable OpenDRIVE: {error}") from error
    if not strips:
        raise ValueError("the map has no lanes")
    return strips


def borders(strips: list[LaneStrip]) -> dict[str, list[np.ndarray]]:
    """Namespace -> polylines (n, 2), map frame, m, with as few points as will do."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in NAMESPACES}
    for strip in strips:
        for border, mark in ((strip.left, strip.left_marking), (strip.right, strip.right_marking)):
            if strip.kind == "sidewalk":
                name = "pavements"
            else:
                name = "road_edges" if mark in UNMARKED else "lane_lines"
            found[name].append(simplified(border))
    return found


def simplified(path: np.ndarray) -> np.ndarray:
    """(n, 2) polyline in m with fewer points (Douglas and Peucker, 1973)."""
    start = path[0]  # float32 is coarse far from the origin
    kept = cv2.approxPolyDP((path - start).astype(np.float32)[:, None], TOLERANCE_M, False)
    return kept[:, 0].astype(float) + start


def map_markers(strips: list[LaneStrip], header: Header) -> MarkerArray:
    """One list of lines per namespace; ``header``: frame ``map``."""
    markers = []
    for name, paths in borders(strips).items():
        (red, green, blue), width = NAMESPACES[name]
        marker = shape(header, name, Marker.LINE_LIST, width)
        marker.lifetime.nanosec = 0  # it stays
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
        for path in paths:
            marker.points += [end for pair in pairwise(points(path, 0.0)) for end in pair]
        if marker.points:
            markers.append(marker)
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL), *markers])
