"""Reads stop signs and speed limits from an OpenDRIVE map.

Signs are ``<signal>`` elements with the numbers that CARLA uses: 206 stop, 274 speed limit. Speed
limits are also the ``<speed>`` of a lane and of a road's ``<type>``. Signs may be referred to by
other roads; in CARLA's own maps these are the connecting roads of the junction behind the sign.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import carla

from wm_perception.conventions import carla_to_ros_pose

STOP, SPEED_LIMIT = "206", "274"
_AT_END_M = 15.0  # a stop sign this close to the end of its road means the end
_MPS = {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704}
_INSIDE_M = 0.01  # waypoints are asked for this far from the ends of a road

Lane = tuple[int, int]  # OpenDRIVE ids of road and lane
Stretch = tuple[float, float, float]  # from s to s (m): limit (m/s)
Pose = tuple[float, float, float]


@dataclass(frozen=True)
class StopSign:
    """A stop sign, for one lane.

    Attributes:
        x, y: where it stands, m, map frame.
        yaw: direction of travel of the lane at the stop, rad.
        road, lane: OpenDRIVE ids of the lane that must stop.
        stop: (x, y) on the centre of the lane where the front bumper stops, m.
    """

    x: float
    y: float
    yaw: float
    road: int
    lane: int
    stop: tuple[float, float]


@dataclass(frozen=True)
class SpeedLimit:
    """A speed-limit sign.

    Attributes:
        x, y: where it stands, m, map frame.
        yaw: direction of travel of the traffic it is for, rad.
        road: OpenDRIVE id.
        lanes: OpenDRIVE ids of the lanes it is for.
        s: where on the road it stands, m.
        limit_mps: m/s.
    """

    x: float
    y: float
    yaw: float
    road: int
    lanes: tuple[int, ...]
    s: float
    limit_mps: float


@dataclass(frozen=True)
class Signs:
    """All signs of a town, and the limits that hold on each lane.

    Attributes:
        stops, limits: the signs.
        in_force: lane outside junctions -> stretches that cover it, in order of s.
        approach: lane inside a junction -> the lane that leads to it; connecting roads say how
            fast their turn can be driven, not how fast one may.
    """

    stops: tuple[StopSign, ...]
    limits: tuple[SpeedLimit, ...]
    in_force: dict[Lane, list[Stretch]]
    approach: dict[Lane, Lane]

    def limit(self, road: int, lane: int, s: float) -> float | None:
        """The limit (m/s) at a station (m) of a lane, None without one."""
        coming = self.approach.get((road, lane))
        if coming is not None:
            stretches = self.in_force.get(coming, [])
            leaving = stretches[-1:] if coming[1] < 0 else stretches[:1]
            return leaving[0][2] if leaving else None
        for first, last, limit in self.in_force.get((road, lane), ()):
            if first <= s <= last:
                return limit
        return None


def _to_mps(value: str | None, unit: str | None, default: str) -> float | None:
    """A speed in m/s; None when it is no number ("no limit") or not positive."""
    try:
        limit = float(value or "") * _MPS.get(unit or default, _MPS[default])
    except ValueError:
        return None
    return limit if math.isfinite(limit) and limit > 0.0 else None


def _sections(road: ET.Element) -> list[tuple[float, float, ET.Element]]:
    """(first s, last s, lane section) of a road."""
    sections = road.findall("lanes/laneSection")
    starts = [float(section.attrib["s"]) for section in sections]
    return list(zip(starts, [*starts[1:], float(road.attrib["length"])], sections, strict=True))


def _driving_lanes(road: ET.Element, s: float) -> list[int]:
    """Ids of the driving lanes at ``s``."""
    section = None
    for first, _, found in _sections(road):
        if section is None or first <= s + 1e-6:
            section = found
    lanes = section.iter("lane") if section is not None else ()
    return [int(lane.attrib["id"]) for lane in lanes if lane.get("type") == "driving"]


def _governed(road: ET.Element, signal: ET.Element) -> list[int]:
    """The driving lanes a signal or a reference is for: its validity, else its orientation."""
    lanes = [lane for lane in _driving_lanes(road, float(signal.attrib["s"])) if lane != 0]
    spans = [
        sorted((int(v.attrib["fromLane"]), int(v.attrib["toLane"])))
        for v in signal.findall("validity")
    ]
    chosen = [n for n in lanes if any(low <= n <= high for low, high in spans)]
    side = {"+": -1, "-": 1}.get(signal.get("orientation", ""), 0)
    return chosen or [n for n in lanes if side == 0 or n * side > 0]


def _pose(carla_map: carla.Map, road: ET.Element, lane: int, s: float) -> Pose | None:
    """Centre and direction of travel of a lane."""
    inside = min(max(s, _INSIDE_M), float(road.attrib["length"]) - _INSIDE_M)
    waypoint = carla_map.get_waypoint_xodr(int(road.attrib["id"]), lane, inside)
    if waypoint is None:
        return None
    t = waypoint.transform
    return carla_to_ros_pose(t.location.x, t.location.y, t.rotation.yaw)


def _placements(root: ET.Element, kind: str) -> list[tuple[ET.Element, ET.Element, ET.Element]]:
    """(road, signal or reference on it, signal) for everything that a kind of sign speaks to."""
    signals = {
        signal.attrib["id"]: signal
        for signal in root.iterfind("road/signals/signal")
        if signal.get("type") == kind
    }
    roads = list(root.iter("road"))
    references = [
        (road, reference, signals[reference.attrib["id"]])
        for road in roads
        for reference in road.iterfind("signals/signalReference")
        if reference.get("id") in signals
    ]
    referred = {signal.attrib["id"] for _, _, signal in references}
    return references + [
        (road, signal, signal)
        for road in roads
        for signal in road.iterfind("signals/signal")
        if signal.get("type") == kind and signal.attrib["id"] not in referred
    ]


def _posts(carla_map: carla.Map, kind: str) -> dict[str, tuple[float, float]]:
    """Where the signs of a kind stand, map frame."""
    return {
        mark.id: (mark.transform.location.x, -mark.transform.location.y)
        for mark in carla_map.get_all_landmarks_of_type(kind)
    }


def _approaches(root: ET.Element) -> dict[Lane, Lane]:
    """Lane inside a junction -> the lane that leads to it."""
    found = {}
    for road in root.iter("road"):
        sections = _sections(road)
        if road.get("junction", "-1") == "-1" or not sections:
            continue
        for forward, end, section in (
            (1, "predecessor", sections[0]),
            (-1, "successor", sections[-1]),
        ):
            link = road.find(f"link/{end}")
            if link is None or link.get("elementType") != "road":
                continue
            for lane in section[2].iter("lane"):
                number, before = int(lane.attrib["id"]), lane.find(f"link/{end}")
                if number * forward < 0 and before is not None:
                    coming = int(link.attrib["elementId"]), int(before.attrib["id"])
                    found[int(road.attrib["id"]), number] = coming
    return found


def _read_stops(root: ET.Element, carla_map: carla.Map) -> tuple[StopSign, ...]:
    posts, approaches = _posts(carla_map, STOP), _approaches(root)
    found: dict[tuple[float, float], StopSign] = {}
    for road, place, signal in _placements(root, STOP):
        s, length = float(place.attrib["s"]), float(road.attrib["length"])
        inside = road.get("junction", "-1") != "-1"
        for lane in _governed(road, place):
            # Inside a junction the stop is where its lane begins, else where the lane ends.
            ahead = (length - s) if lane < 0 else s
            edge = (length if lane < 0 else 0.0) if not inside else (0.0 if lane < 0 else length)
            pose = _pose(carla_map, road, lane, edge if inside or ahead < _AT_END_M else s)
            post = posts.get(signal.attrib["id"])
            if pose is None or post is None:
                continue
            number = int(road.attrib["id"])
            where = approaches.get((number, lane), (number, lane))
            stop = (round(pose[0], 2), round(pose[1], 2))
            found.setdefault(stop, StopSign(*post, pose[2], *where, stop))
    return tuple(found[stop] for stop in sorted(found))


def _read_limits(root: ET.Element, carla_map: carla.Map) -> tuple[SpeedLimit, ...]:
    posts = _posts(carla_map, SPEED_LIMIT)
    found = []
    for road, place, signal in _placements(root, SPEED_LIMIT):
        limit = _to_mps(signal.get("value"), signal.get("unit"), "km/h")
        if limit is None:  # some writers put the number there
            limit = _to_mps(signal.get("subtype"), "km/h", "km/h")
        lanes, s = _governed(road, place), float(place.attrib["s"])
        pose = _pose(carla_map, road, lanes[0], s) if lanes else None
        post = posts.get(signal.attrib["id"])
        if limit is not None and pose is not None and post is not None:
            number = int(road.attrib["id"])
            found.append(SpeedLimit(*post, pose[2], number, tuple(lanes), s, limit))
    return tuple(sorted(found, key=lambda sign: (sign.road, sign.s, sign.lanes)))


def _basic_limits(road: ET.Element) -> dict[int, list[Stretch]]:
    """Lane id -> stretches with the limit of the lane, or else of the road's type."""
    types = [
        (float(kind.attrib["s"]), _to_mps(speed.get("max"), speed.get("unit"), "m/s"))
        for kind in road.findall("type")
        if (speed := kind.find("speed")) is not None
    ]
    found: dict[int, list[Stretch]] = {}
    for first, last, section in _sections(road):
        road_limit = next((limit for s, limit in reversed(types) if s <= first + 1e-6), None)
        for lane in section.iter("lane"):
            speed = lane.find("speed")
            own = None if speed is None else _to_mps(speed.get("max"), speed.get("unit"), "m/s")
            limit = own if own is not None else road_limit
            if limit is not None and lane.get("type") == "driving":
                found.setdefault(int(lane.attrib["id"]), []).append((first, last, limit))
    return found


def _after_signs(stretches: list[Stretch], length: float, signs: list[SpeedLimit], lane: int):
    """The stretches of a lane once its signs (in order of s) replace what lies behind them."""
    for sign in signs if lane < 0 else signs[::-1]:
        low, high = (sign.s, length) if lane < 0 else (0.0, sign.s)
        kept = []
        for first, last, limit in stretches:
            if first < low:
                kept.append((first, min(last, low), limit))
            if last > high:
                kept.append((max(first, high), last, limit))
        stretches = sorted([*kept, (low, high, sign.limit_mps)])
    return stretches


def read_signs(carla_map: carla.Map, opendrive: str) -> Signs:
    """All signs and limits of a map.

    Args:
        carla_map: the map.
        opendrive: the text it was made of.
    """
    root = ET.fromstring(opendrive)
    limits = _read_limits(root, carla_map)
    in_force: dict[Lane, list[Stretch]] = {}
    for road in root.iter("road"):
        if road.get("junction", "-1") != "-1":
            continue
        number, length = int(road.attrib["id"]), float(road.attrib["length"])
        here = [sign for sign in limits if sign.road == number]
        basic = _basic_limits(road)
        for lane in sorted({*basic, *(lane for sign in here for lane in sign.lanes)}):
            signs = [sign for sign in here if lane in sign.lanes]
            in_force[number, lane] = _after_signs(basic.get(lane, []), length, signs, lane)
    return Signs(_read_stops(root, carla_map), limits, in_force, _approaches(root))
