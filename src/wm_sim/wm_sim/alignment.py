"""How well a SUMO network and an OpenDRIVE map of the same town agree."""

from __future__ import annotations

import gzip
import math
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path

import carla
import numpy as np

from wm_perception.conventions import carla_to_ros_pose, wrap_angle

STEP_M = 3.0  # between the points of a SUMO lane that are compared
CENTRE_STEP_M = 0.5  # between the points of carla.Map's lane centres
REACH_M = 4.0  # a lane centre further away than this is another lane
MAX_TURN_RAD = 0.5  # so is one with another direction ...
MAX_AHEAD_M = 0.6  # ... and one that ends before, or begins behind, the point


@dataclass(frozen=True)
class LaneGap:
    """One SUMO lane against carla.Map.

    Attributes:
        lane: SUMO's name of the lane.
        junction: whether it lies inside a junction.
        points: (n, 3) where it was compared: x, y, heading, map frame.
        gaps: (n,) sideways distance to the nearest lane centre of the same direction, m; infinite
            where there is none.
    """

    lane: str
    junction: bool
    points: np.ndarray
    gaps: np.ndarray


@dataclass(frozen=True)
class Alignment:
    """Sideways distances between SUMO lanes and carla.Map's lane centres, m.

    Attributes:
        edges_p95_m, edges_max_m: outside junctions.
        junctions_p95_m, junctions_max_m: inside junctions.
        unmatched: share of the points without a lane of the same direction within 4 m; they are
            in none of the distances.
        points: how many points were compared.
    """

    edges_p95_m: float
    edges_max_m: float
    junctions_p95_m: float
    junctions_max_m: float
    unmatched: float
    points: int

    @property
    def worst_m(self) -> float:
        """The largest distance; infinite when a point had no partner."""
        return math.inf if self.unmatched else max(self.edges_max_m, self.junctions_max_m)

    def to_dict(self) -> dict[str, float]:
        """The figures, rounded to millimetres."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def read_net(path: Path) -> ET.Element:
    """A SUMO network, compressed or not."""
    data = path.read_bytes()
    return ET.fromstring(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


def is_car_lane(lane: ET.Element) -> bool:
    """Whether passenger cars may use a SUMO lane (pavements and cycle paths: no)."""
    allowed, forbidden = lane.get("allow"), lane.get("disallow", "")
    if allowed is not None:
        return bool({"passenger", "all"} & set(allowed.split()))
    return not {"passenger", "all"} & set(forbidden.split())


def lane_shape(lane: ET.Element) -> np.ndarray:
    """(n, 2) points of a SUMO lane."""
    return np.array([[float(v) for v in p.split(",")[:2]] for p in lane.attrib["shape"].split()])


def _lane_points(lane: ET.Element) -> np.ndarray:
    """(n, 3) points along a SUMO lane, x, y, heading."""
    shape = lane_shape(lane)
    delta = np.diff(shape, axis=0)
    along = np.r_[0.0, np.cumsum(np.hypot(*delta.T))]
    at = np.arange(0.0, along[-1], STEP_M) + 0.01
    segment = np.clip(np.searchsorted(along, at) - 1, 0, len(delta) - 1)
    xy = np.stack([np.interp(at, along, shape[:, i]) for i in (0, 1)], 1)
    return np.c_[xy, np.arctan2(delta[segment, 1], delta[segment, 0])]


def _lane_centres(carla_map: carla.Map) -> np.ndarray:
    """(n, 3) points of all driving lanes, x, y, heading, map frame, in the order of x."""
    poses = []
    for waypoint in carla_map.generate_waypoints(CENTRE_STEP_M):
        t = waypoint.transform
        poses.append(carla_to_ros_pose(t.location.x, t.location.y, t.rotation.yaw))
    centres = np.array(poses).reshape(-1, 3)
    return centres[np.argsort(centres[:, 0], kind="stable")]


def _gaps(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n,) distances of (n, 3) points of one lane; ``centres`` are sorted by x."""
    if not len(points):
        return np.zeros(0)
    low, high = points[:, :2].min(0) - REACH_M, points[:, :2].max(0) + REACH_M
    first, last = np.searchsorted(centres[:, 0], (low[0], high[0]))
    near = centres[first:last]
    near = near[(near[:, 1] > low[1]) & (near[:, 1] < high[1])]
    if not len(near):
        return np.full(len(points), np.inf)
    offset = near[None, :, :2] - points[:, None, :2]
    cos, sin = np.cos(near[:, 2]), np.sin(near[:, 2])
    lateral = np.abs(-sin * offset[..., 0] + cos * offset[..., 1])
    ahead = np.abs(cos * offset[..., 0] + sin * offset[..., 1])
    turn = np.abs(wrap_angle(near[None, :, 2] - points[:, None, 2]))
    partner = (lateral < REACH_M) & (ahead < MAX_AHEAD_M) & (turn < MAX_TURN_RAD)
    return np.where(partner, lateral, np.inf).min(1)


def lane_gaps(net: ET.Element, carla_map: carla.Map) -> list[LaneGap]:
    """Compare every lane of a SUMO network that cars may use with the lanes of ``carla_map``.

    Lanes inside junctions overlap in the OpenDRIVE map, so a point is compared with the nearest
    lane of the same direction.
    """
    centres = _lane_centres(carla_map)
    found = []
    for edge in net.iter("edge"):
        if edge.get("function") in ("crossing", "walkingarea"):
            continue
        for lane in filter(is_car_lane, edge.iter("lane")):
            points = _lane_points(lane)
            inside = edge.get("function") == "internal"
            found.append(LaneGap(lane.attrib["id"], inside, points, _gaps(points, centres)))
    return found


def _p95_and_max(gaps: list[LaneGap]) -> tuple[float, float]:
    """(95th percentile, maximum) of the distances that have a partner, 0 without any."""
    distances = np.concatenate([np.zeros(0), *(g.gaps[np.isfinite(g.gaps)] for g in gaps)])
    if not len(distances):
        return 0.0, 0.0
    return float(np.percentile(distances, 95)), float(distances.max())


def summarise(gaps: list[LaneGap]) -> Alignment:
    """The figures over a list of lanes."""
    points = sum(len(g.gaps) for g in gaps)
    lost = sum(int(np.isinf(g.gaps).sum()) for g in gaps)
    edges_p95, edges_max = _p95_and_max([g for g in gaps if not g.junction])
    junctions_p95, junctions_max = _p95_and_max([g for g in gaps if g.junction])
    unmatched = lost / max(points, 1)
    return Alignment(edges_p95, edges_max, junctions_p95, junctions_max, unmatched, points)


def lane_alignment(net_path: Path, carla_map: carla.Map) -> Alignment:
    """The figures of a network file against the map of the same town."""
    return summarise(lane_gaps(read_net(net_path), carla_map))
