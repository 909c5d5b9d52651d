"""How well a SUMO network and an OpenDRIVE map of the same town agree."""

from __future__ import annotations

import gzip
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import carla
import numpy as np

from wm_perception.conventions import carla_to_ros_pose


def _lane_points(lane: ET.Element, step_m: float) -> np.ndarray:
    """(n, 3) points along a SUMO lane, x, y, heading."""
    shape = np.array([[float(v) for v in p.split(",")[:2]] for p in lane.attrib["shape"].split()])
    delta = np.diff(shape, axis=0)
    along = np.r_[0.0, np.cumsum(np.hypot(*delta.T))]
    at = np.arange(0.0, along[-1], step_m) + 0.01
    segment = np.clip(np.searchsorted(along, at) - 1, 0, len(delta) - 1)
    xy = np.stack([np.interp(at, along, shape[:, i]) for i in (0, 1)], 1)
    return np.c_[xy, np.arctan2(delta[segment, 1], delta[segment, 0])]


def lane_alignment(net_path: Path, xodr_path: Path, step_m: float = 3.0) -> tuple[float, float]:
    """(worst, 95th percentile) sideways distance, m, from SUMO lanes to carla.Map lane centres.

    Lanes inside junctions overlap in the OpenDRIVE map, so their points are compared with the
    nearest lane of the same direction.
    """
    carla_map = carla.Map("town", gzip.decompress(xodr_path.read_bytes()).decode())
    lanes: list[tuple[float, float, float]] = []
    for waypoint in carla_map.generate_waypoints(0.5):
        t = waypoint.transform
        lanes.append(carla_to_ros_pose(t.location.x, t.location.y, t.rotation.yaw))
    centres = np.array(lanes)
    distances = []
    for lane in ET.fromstring(gzip.decompress(net_path.read_bytes())).iter("lane"):
        for x, y, yaw in _lane_points(lane, step_m):
            offset = centres[:, :2] - (x, y)
            turn = np.abs((centres[:, 2] - yaw + math.pi) % (2 * math.pi) - math.pi)
            near = (np.abs(offset) < 4.0).all(1) & (turn < 0.5)
            if not near.any():
                distances.append(4.0)
                continue
            o, h = offset[near], centres[near, 2]
            lateral = np.abs(-np.sin(h) * o[:, 0] + np.cos(h) * o[:, 1])
            ahead = np.abs(np.cos(h) * o[:, 0] + np.sin(h) * o[:, 1])
            distances.append(float((lateral + 10.0 * (ahead > 0.6)).min()))
    return float(np.max(distances)), float(np.percentile(distances, 95))
