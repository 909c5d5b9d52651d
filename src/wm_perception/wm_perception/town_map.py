"""The drawn map of a town: OpenDRIVE lanes as rasters, through CARLA's own offline map library.

The same code serves a real bridge (which publishes the OpenDRIVE text) and the embedded simulator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from wm_perception.conventions import box_corners, carla_to_ros_pose
from wm_perception.frame import EgoState

PIXELS_PER_M = 4.0
PADDING_M = 25.0
DRIVABLE = ("driving", "shoulder", "parking", "biking", "bidirectional")
MARKING_WIDTH_PX = 1
STRIP_STEP_M = 1.5
FIXED_POINT = 4  # fractional bits of OpenCV's polygon coordinates


@dataclass(frozen=True)
class LaneStrip:
    """One lane of one lane section as two borders, map frame.

    Attributes:
        kind: OpenDRIVE lane type.
        left, right: (n, 2) border points in the direction of travel, m.
        left_marking, right_marking: marking type names, empty inside junctions.
    """

    kind: str
    left: np.ndarray
    right: np.ndarray
    left_marking: str
    right_marking: str


def _lane_points(carla_map, road_id: int, lane_id: int, stations: np.ndarray):
    """Yield waypoints along one lane; stations where the map has none are skipped."""
    for s in stations:
        waypoint = carla_map.get_waypoint_xodr(road_id, lane_id, float(s))
        if waypoint is not None:
            yield waypoint


def _strip(carla_map, road_id: int, lane_id: int, kind: str, stations: np.ndarray):
    left, right, marks = [], [], ("", "")
    for waypoint in _lane_points(carla_map, road_id, lane_id, stations):
        transform, half = waypoint.transform, waypoint.lane_width / 2
        location = transform.location
        x, y, yaw = carla_to_ros_pose(location.x, location.y, transform.rotation.yaw)
        nx, ny = -math.sin(yaw), math.cos(yaw)
        left.append((x + nx * half, y + ny * half))
        right.append((x - nx * half, y - ny * half))
        if kind == "driving" and not waypoint.is_junction:
            # A map without road marks has None.
            line, edge = waypoint.left_lane_marking, waypoint.right_lane_marking
            marks = (str(line.type) if line else "", str(edge.type) if edge else "")
    if len(left) < 2:
        return None
    return LaneStrip(kind, np.array(left), np.array(right), *marks)


def lane_strips(carla_map, opendrive: str) -> list[LaneStrip]:
    """Every lane of the map as a strip, map frame."""
    import xml.etree.ElementTree as ElementTree

    strips = []
    for road in ElementTree.fromstring(opendrive).iter("road"):
        road_id, length = int(road.attrib["id"]), float(road.attrib["length"])
        sections = road.findall("lanes/laneSection")
        starts = [float(section.attrib["s"]) for section in sections] + [length]
        for section, start, end in zip(sections, starts, starts[1:], strict=False):
            low, high = start + 1e-3, end - 1e-3
            if high <= low:
                continue
            stations = np.linspace(low, high, max(2, int((high - low) / STRIP_STEP_M) + 2))
            for lane in section.iter("lane"):
                kind, lane_id = lane.attrib["type"], int(lane.attrib["id"])
                if lane_id == 0 or kind not in (*DRIVABLE, "sidewalk"):
                    continue
                strip = _strip(carla_map, road_id, lane_id, kind, stations)
                if strip is not None:
                    strips.append(strip)
    return strips


class TownMap:
    """Rasters of the drivable surface and of the lane lines, with the map they came from.

    Attributes:
        name: town name.
        carla_map: the offline ``carla.Map``.
        strips: lane strips, map frame.
        road: (H, W) uint8, 255 where drivable; row 0 is the largest y.
        line: (H, W) uint8, 255 on lane markings.
        origin: (2,) map coordinates of the lower left corner, m.
    """

    def __init__(self, name: str, carla_map, opendrive: str):
        self.name = name
        self.carla_map = carla_map
        self.opendrive = opendrive
        self.strips = lane_strips(carla_map, opendrive)
        borders = [p for s in self.strips for p in (s.left, s.right)]
        if not borders:
            raise ValueError(f"map {name!r} has no drivable lanes")
        points = np.concatenate(borders)
        self.origin = points.min(0) - PADDING_M
        size = np.ceil((points.max(0) + PADDING_M - self.origin) * PIXELS_PER_M).astype(int)
        self.road = np.zeros((size[1], size[0]), np.uint8)
        self.line = np.zeros_like(self.road)
        self._draw()

    @classmethod
    def from_opendrive(cls, opendrive: str, name: str = "map") -> TownMap:
        """Parse OpenDRIVE text.

        Raises:
            ValueError: the text is not OpenDRIVE or holds no drivable lane.
        """
        import carla

        try:
            carla_map = carla.Map(name, opendrive)
        except RuntimeError as error:
            raise ValueError(f"map {name!r} is not readable OpenDRIVE: {error}") from error
        return cls(name, carla_map, opendrive)

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) map points -> (column, row) floats of the rasters."""
        pixels = (np.asarray(points) - self.origin) * PIXELS_PER_M
        pixels[..., 1] = self.road.shape[0] - pixels[..., 1]
        return pixels

    def _draw(self) -> None:
        scale = 1 << FIXED_POINT
        for strip in self.strips:
            if strip.kind == "sidewalk":
                continue
            left, right = self.to_pixels(strip.left), self.to_pixels(strip.right)
            outline = np.round(np.concatenate([left, right[::-1]]) * scale).astype(np.int32)
            cv2.fillPoly(self.road, [outline], 255, cv2.LINE_8, FIXED_POINT)
            for border, mark in ((left, strip.left_marking), (right, strip.right_marking)):
                if mark in ("", "NONE", "Other"):
                    continue
                path = np.round(border * scale).astype(np.int32)
                cv2.polylines(
                    self.line, [path], False, 255, MARKING_WIDTH_PX, cv2.LINE_8, FIXED_POINT
                )
        # Neighbouring strips leave hairline gaps where sections meet.
        self.road = cv2.morphologyEx(self.road, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))

    def drivable(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: which of the map points (n, 2) lie on drivable surface."""
        pixels = self.to_pixels(points).astype(int)
        height, width = self.road.shape
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        result = np.zeros(len(pixels), bool)
        result[inside] = self.road[pixels[inside, 1], pixels[inside, 0]] > 0
        return result

    def is_off_road(self, ego: EgoState) -> bool:
        """Whether two or more corners of the body (shrunk by 0.25 m) are off the road."""
        corners = box_corners(ego.x, ego.y, ego.yaw, ego.length - 0.5, ego.width - 0.25)
        return int((~self.drivable(corners)).sum()) >= 2
