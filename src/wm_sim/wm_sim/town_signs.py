"""Writes stop signs and speed limits into an OpenDRIVE map, so that a CARLA server has them too.

Sign numbers are those of the German catalogue, as in CARLA: 206 stop, 274 speed limit.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

STOP, SPEED_LIMIT = "206", "274"
LIMIT_AT_M = 5.0  # a speed limit stands this far behind the junction
BESIDE_M = 1.0  # signs stand this far from the edge of the outermost lane
_SHORTEST_M = 20.0  # a road shorter than this gets no speed limit
_HEIGHT_M = 2.2


def _add_sign(road: ET.Element, number: int, kind: str, s: float, value: str, unit: str) -> None:
    """Append a sign for all right-hand lanes of the road, beside the outermost one."""
    lanes = road.findall("lanes/laneSection/right/lane")
    widths = road.findall("lanes/laneSection/right/lane/width")
    width = sum(float(each.attrib["a"]) for each in widths)
    signals = road.find("signals")
    if signals is None:
        signals = ET.SubElement(road, "signals")
    attributes = {
        "id": str(number),
        "name": f"{'Stop' if kind == STOP else 'Speed_' + value}",
        "s": f"{s:.4f}",
        "t": f"{-(width + BESIDE_M):.4f}",
        "zOffset": str(_HEIGHT_M),
        "hOffset": "0",
        "roll": "0",
        "pitch": "0",
        "orientation": "+",
        "dynamic": "no",
        "country": "OpenDRIVE",
        "type": kind,
        "subtype": "-1",
        "value": value,
        "unit": unit,
        "height": "0.7",
        "width": "0.7",
        "text": "",
    }
    sign = ET.SubElement(signals, "signal", attributes)
    ids = [int(lane.attrib["id"]) for lane in lanes]
    ET.SubElement(sign, "validity", fromLane=str(min(ids)), toLane=str(max(ids)))


def with_signs(xodr: str, stops: Iterable[tuple[str, str]]) -> str:
    """OpenDRIVE text of one-way roads (as netconvert writes it), with signs on them.

    Args:
        xodr: the map.
        stops: names of the junctions (from, to) of every road that has a stop sign at its end.
    """
    root = ET.fromstring(xodr)
    names = {j.attrib["id"]: j.attrib["name"] for j in root.iter("junction")}
    stopping = set(stops)
    number = 1
    for road in root.iter("road"):
        ends = [road.find(f"link/{end}") for end in ("predecessor", "successor")]
        if road.attrib["junction"] != "-1" or any(end is None for end in ends):
            continue
        length = float(road.attrib["length"])
        start, goal = (names.get(end.attrib["elementId"], "") for end in ends if end is not None)
        if (start, goal) in stopping:
            _add_sign(road, number, STOP, length, "-1", "")
            number += 1
        speed = road.find("lanes/laneSection/right/lane/speed")
        if speed is not None and length >= _SHORTEST_M:
            kmh = f"{float(speed.attrib['max']) * 3.6:.0f}"
            _add_sign(road, number, SPEED_LIMIT, LIMIT_AT_M, kmh, "km/h")
            number += 1
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
