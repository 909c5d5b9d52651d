"""Junctions of a SUMO network as patches for netconvert, which would draw them anew.

netconvert draws the lanes inside a junction itself, or reads them from OpenDRIVE half a lane off
where a connecting road has several lane sections; CARLA's towns are full of those. So the paths
through junctions are taken from carla.Map, and are pinned when a network is converted again.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import carla
import numpy as np

from wm_perception.conventions import carla_to_ros_pose, wrap_angle
from wm_sim.alignment import lane_shape

_STEP_M = 0.5
_BEFORE_M = 1.0  # the search begins here, where the lane of the approach lies alone
_ARRIVED_M = 0.6
_SAME_LANE_M = 0.5
_SAME_WAY_RAD = 0.5


def _place(waypoint: carla.Waypoint) -> tuple[float, float, float]:
    transform = waypoint.transform
    return carla_to_ros_pose(transform.location.x, transform.location.y, transform.rotation.yaw)


def _start(carla_map: carla.Map, shape: np.ndarray) -> carla.Waypoint | None:
    """The lane of carla.Map at the end of a SUMO lane (n, 2), or None when there is none."""
    ahead = shape[-1] - shape[-2]
    ahead = ahead / max(math.hypot(*ahead), 1e-6)
    x, y = shape[-1] - _BEFORE_M * ahead
    waypoint = carla_map.get_waypoint(carla.Location(float(x), float(-y), 0.0))
    if waypoint is None:
        return None
    there = _place(waypoint)
    turned = wrap_angle(there[2] - math.atan2(ahead[1], ahead[0]))
    if math.hypot(there[0] - x, there[1] - y) > _SAME_LANE_M or abs(turned) > _SAME_WAY_RAD:
        return None
    return waypoint


def _follow(start: carla.Waypoint, goal: np.ndarray) -> np.ndarray | None:
    """(n, 2) points along the lanes from a waypoint to ``goal``; None when no lane leads there."""
    x, y, _ = _place(start)
    reach = 2.0 * math.hypot(goal[0] - x, goal[1] - y) + 20.0
    branches: list[tuple[carla.Waypoint, list[tuple[float, float]]]] = [(start, [(x, y)])]
    while branches:
        here, path = branches.pop()
        while len(path) * _STEP_M < reach:
            if math.hypot(goal[0] - path[-1][0], goal[1] - path[-1][1]) < _ARRIVED_M:
                return np.array(path)
            following = here.next(_STEP_M)
            if not following:
                break
            for other in following[1:]:
                branches.append((other, [*path, _place(other)[:2]]))
            here = following[0]
            path.append(_place(here)[:2])
    return None


def _between(path: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The part of a path (n, 2) between the ends of two lanes, with these ends."""
    onward, back = path[-1] - path[-2], path[1] - path[0]
    ahead_of_first = (path - first) @ back > 0.1
    behind_last = (path - last) @ onward < -0.1
    return np.concatenate([first[None], path[ahead_of_first & behind_last], last[None]])


def junction_shapes(net: ET.Element) -> ET.Element:
    """The outlines of the junctions as they are; netconvert would widen them for the pavements."""
    nodes = ET.Element("nodes")
    for junction in net.iter("junction"):
        if not junction.attrib["id"].startswith(":") and junction.get("shape"):
            ET.SubElement(nodes, "node", id=junction.attrib["id"], shape=junction.attrib["shape"])
    return nodes


def lanes_of_turns(net: ET.Element) -> list[tuple[ET.Element, list[str]]]:
    """The connections between edges, each with its chain of lanes inside the junction."""
    onward = {
        f"{c.attrib['from']}_{c.attrib['fromLane']}": c.get("via")
        for c in net.iter("connection")
        if c.attrib["from"].startswith(":")
    }
    found = []
    for connection in net.iter("connection"):
        via = connection.get("via")
        if via is None or connection.attrib["from"].startswith(":"):
            continue
        chain = []
        while via is not None:
            chain.append(via)
            via = onward.get(via)
        found.append((connection, chain))
    return found


def turn_of(connection: ET.Element) -> dict[str, str]:
    """The attributes that name a connection."""
    return {key: connection.attrib[key] for key in ("from", "to", "fromLane", "toLane")}


def turn_shapes(net: ET.Element) -> ET.Element:
    """``<connections>`` with the paths of cars through the junctions as they are."""
    shapes = {lane.attrib["id"]: lane.attrib["shape"].split() for lane in net.iter("lane")}
    connections = ET.Element("connections")
    for connection, chain in lanes_of_turns(net):
        points: list[str] = []
        for lane in chain:
            points += shapes[lane][bool(points) :]
        ET.SubElement(connections, "connection", turn_of(connection), shape=" ".join(points))
    return connections


def turn_paths(net: ET.Element, carla_map: carla.Map) -> ET.Element:
    """``<connections>`` along carla.Map's lanes; as they are where none of those leads through."""
    shapes = {lane.attrib["id"]: lane_shape(lane) for lane in net.iter("lane")}
    connections = turn_shapes(net)
    for connection in connections:
        leaving = shapes[f"{connection.attrib['from']}_{connection.attrib['fromLane']}"]
        entering = shapes[f"{connection.attrib['to']}_{connection.attrib['toLane']}"]
        start = _start(carla_map, leaving)
        path = None if start is None else _follow(start, entering[0])
        if path is not None and len(path) > 1:
            points = _between(path, leaving[-1], entering[0])
            connection.set("shape", " ".join(f"{x:.2f},{y:.2f}" for x, y in points))
    return connections
