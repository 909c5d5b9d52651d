"""Which streets of a SUMO network one can drive on for ever."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from wm_sim.alignment import is_car_lane
from wm_sim.town_turns import lanes_of_turns, turn_of, turn_shapes


def _reachable(start: str, onward: dict[str, set[str]]) -> set[str]:
    seen, queue = {start}, [start]
    while queue:
        for there in onward.get(queue.pop(), ()):
            if there not in seen:
                seen.add(there)
                queue.append(there)
    return seen


def largest_round_trip(nodes: set[str], links: set[tuple[str, str]]) -> set[str]:
    """The largest set of nodes from each of which every other one can be reached."""
    onward: dict[str, set[str]] = {}
    backward: dict[str, set[str]] = {}
    for a, b in links:
        onward.setdefault(a, set()).add(b)
        backward.setdefault(b, set()).add(a)
    best: set[str] = set()
    left = set(nodes)
    while left:
        start = min(left)
        together = _reachable(start, onward) & _reachable(start, backward) & left
        if len(together) > max(len(best), 1):
            best = together
        left -= together
    return best


def round_trip_edges(
    net: ET.Element, without_lanes: set[str], without_edges: set[str]
) -> tuple[set[str], ET.Element]:
    """The edges to keep, and what to do with the turns between them.

    Args:
        net: a SUMO network.
        without_lanes: lanes that must go; inside a junction, the turn over it goes.
        without_edges: edges that must go.

    Returns:
        the edges on which every other one can be reached, and a ``<connections>`` patch that
        removes turns over removed lanes and keeps the shapes of the others.
    """
    edges = {
        edge.attrib["id"]
        for edge in net.iter("edge")
        if edge.get("function", "normal") == "normal"
        and any(is_car_lane(lane) for lane in edge.iter("lane"))
        and not any(lane.attrib["id"] in without_lanes for lane in edge.iter("lane"))
    } - without_edges
    patch, links = turn_shapes(net), set()
    for turn, (connection, chain) in zip(list(patch), lanes_of_turns(net), strict=True):
        ends = connection.attrib["from"], connection.attrib["to"]
        if without_lanes.intersection(chain):
            patch.remove(turn)
            ET.SubElement(patch, "delete", turn_of(connection))
        elif edges.issuperset(ends):
            links.add(ends)
    keep = largest_round_trip(edges, links)
    for turn in list(patch):
        if not keep.issuperset((turn.attrib["from"], turn.attrib["to"])):
            patch.remove(turn)
    return keep, patch
