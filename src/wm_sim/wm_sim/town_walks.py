"""Pavements and crossings for a town: a second SUMO network of the same streets.

The lanes of cars, the stop lines and the junctions stay where they are. Lights get one phase more,
in which only walkers have green; it is followed by the time that the slowest of them needs.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from wm_sim.alignment import is_car_lane, read_net
from wm_sim.town_pavements import move_pavements
from wm_sim.town_sumo import run_tool
from wm_sim.town_turns import junction_shapes, turn_shapes

PAVEMENT_WIDTH_M = 2.5
WALK_SPEED_MPS = 1.2  # of a slow walker, who must reach the other side before cars get green
_CAR_TOLERANCE_M, _WALK_TOLERANCE_M = 0.02, 0.08
_OPTIONS = (
    "--offset.disable-normalization true --no-turnarounds true --sidewalks.guess true "
    f"--default.sidewalk-width {PAVEMENT_WIDTH_M} --walkingareas true --crossings.guess true "
    # Without lights, nobody crosses streets that are faster than 45 km/h.
    "--crossings.guess.speed-threshold 12.5"
)


def _time_crossings(net: ET.Element) -> None:
    """After each green of the crossings, keep all lights red until the longest one is clear."""
    lengths = {
        edge.attrib["id"]: float(edge.find("lane").attrib["length"])  # type: ignore[union-attr]
        for edge in net.iter("edge")
        if edge.get("function") == "crossing"
    }
    crossings: dict[str, dict[int, float]] = {}
    for connection in net.iter("connection"):
        length = lengths.get(connection.attrib["to"])
        if length is not None and connection.get("tl"):
            links = crossings.setdefault(connection.attrib["tl"], {})
            links[int(connection.attrib["linkIndex"])] = length
    for logic in net.iter("tlLogic"):
        links = crossings.get(logic.attrib["id"], {})
        phases = logic.findall("phase")
        for number, phase in enumerate(phases):
            green = [length for i, length in links.items() if phase.attrib["state"][i] in "gG"]
            clearing = phases[(number + 1) % len(phases)]
            if green and not set(clearing.attrib["state"]) & set("gGyY"):
                clearing.set("duration", str(math.ceil(max(green) / WALK_SPEED_MPS)))


def _thin(points: np.ndarray, tolerance_m: float) -> np.ndarray:
    """Douglas-Peucker: (n, 2) points without those that lie on the line between their neighbours.

    Source: Douglas and Peucker 1973.
    """
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    stack = [(0, len(points) - 1)]
    while stack:
        first, last = stack.pop()
        if last - first < 2:
            continue
        chord = points[last] - points[first]
        offset = points[first + 1 : last] - points[first]
        length = math.hypot(*chord)
        if length > 1e-6:
            distance = np.abs(chord[0] * offset[:, 1] - chord[1] * offset[:, 0]) / length
        else:
            distance = np.hypot(*offset.T)
        worst = int(distance.argmax())
        if distance[worst] > tolerance_m:
            middle = first + 1 + worst
            keep[middle] = True
            stack += [(first, middle), (middle, last)]
    return points[keep]


def _shrink(net: ET.Element) -> None:
    """Drop what SUMO does not read, and points that make no difference (lengths are explicit)."""
    for edge in net.iter("edge"):
        edge.attrib.pop("shape", None)
        for lane in edge.iter("lane"):
            tolerance = _CAR_TOLERANCE_M if is_car_lane(lane) else _WALK_TOLERANCE_M
            shape = lane.attrib["shape"].split()
            points = np.array([[float(v) for v in p.split(",")[:2]] for p in shape])
            # Heights, where there are some, stay with their points.
            rows = {tuple(p): text for p, text in zip(points.tolist(), shape, strict=True)}
            thin = _thin(points, tolerance).tolist()
            lane.set("shape", " ".join(rows[tuple(p)] for p in thin))
    for connection in net.iter("connection"):
        connection.attrib.pop("shape", None)
    for logic in net.iter("tlLogic"):
        for parameter in logic.findall("param"):
            logic.remove(parameter)


def walk_network(
    net_path: Path,
    work: Path,
    without: Iterable[str] = (),
    gaps: Mapping[str, float | None] | None = None,
) -> str:
    """The network at ``net_path`` with pavements and crossings, as text.

    Args:
        net_path: SUMO network without them.
        work: an existing folder for intermediate files.
        without: SUMO edges that get no pavement.
        gaps: SUMO edge -> m between its lanes and its pavement (default 0), None for no pavement.

    Raises:
        UserError: netconvert is missing or fails.
    """
    net = read_net(net_path)
    ET.ElementTree(junction_shapes(net)).write(work / "walk.nod.xml")
    ET.ElementTree(turn_shapes(net)).write(work / "walk.con.xml")
    inputs = ["-s", str(net_path.resolve()), "-n", "walk.nod.xml", "-x", "walk.con.xml"]
    gaps = gaps or {}
    unpaved = {edge for edge, gap in gaps.items() if gap is None}
    if excluded := ",".join(sorted(unpaved.union(without))):
        inputs += ["--sidewalks.guess.exclude", excluded]
    run_tool("netconvert", [*inputs, "-o", "walk.net.xml", *_OPTIONS.split()], work)
    walk = read_net(work / "walk.net.xml")
    _time_crossings(walk)
    move_pavements(walk, gaps)
    _shrink(walk)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(walk, encoding="unicode") + "\n"
