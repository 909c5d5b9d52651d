"""Which junctions of an OpenDRIVE map have traffic lights."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from wm_sim.town_build import LIGHTS

_TRAFFIC_LIGHT = "10000"  # 1000001 and its relatives with arrows, 1000011 of netconvert


def _lights(root: ET.Element) -> dict[str, tuple[ET.Element, ET.Element]]:
    """Signal id -> (road, signal) of the traffic lights."""
    return {
        signal.attrib["id"]: (road, signal)
        for road in root.iter("road")
        for signal in road.iterfind("signals/signal")
        if signal.get("type", "").startswith(_TRAFFIC_LIGHT) and signal.get("dynamic") == "yes"
    }


def _junction_ahead(road: ET.Element, signal: ET.Element) -> str | None:
    """The junction at the end of a signal's road, first in the direction that it is for."""
    ends = ["successor", "predecessor"]
    for end in ends if signal.get("orientation") != "-" else ends[::-1]:
        link = road.find(f"link/{end}")
        if link is not None and link.get("elementType") == "junction":
            return link.attrib["elementId"]
    return None


def signalled_junctions(root: ET.Element) -> set[str]:
    """Ids of the junctions whose lights an OpenDRIVE file knows.

    A light belongs to the junctions with connecting roads that refer to it; without a reference,
    to the junction at the end of its road.
    """
    lights, found, referred = _lights(root), set(), set()
    for road in root.iter("road"):
        names = {r.get("id") for r in road.iterfind("signals/signalReference")} & set(lights)
        if road.get("junction", "-1") != "-1" and names:
            found.add(road.attrib["junction"])
            referred |= names
    for name, (road, signal) in lights.items():
        if name in referred:
            continue
        inside = road.get("junction", "-1")
        ahead = _junction_ahead(road, signal) if inside == "-1" else inside
        if ahead is not None:
            found.add(ahead)
    return found


def light_options(root: ET.Element, net: ET.Element) -> tuple[str, list[str]]:
    """Where the lights of a map come from, and netconvert's options that set them.

    Args:
        root: the OpenDRIVE map.
        net: the SUMO network made of it.

    Returns:
        "file" or "guessed", and the options.
    """
    nodes = {junction.attrib["id"] for junction in net.iter("junction")}
    known = sorted(signalled_junctions(root) & nodes)
    if known:
        return "file", ["--tls.set", ",".join(known), *LIGHTS.split()]
    guess = ["--tls.guess", "true", "--tls.guess.threshold", "30"]
    return "guessed", [*guess, *LIGHTS.split()]
