"""From drawn streets to a town: OpenDRIVE map, SUMO network, pavements, check that they agree."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import carla

from wm_dynamics.errors import UserError
from wm_sim.alignment import Alignment, lane_alignment, read_net
from wm_sim.town_files import NET_SUFFIX, WALK_SUFFIX, XODR_SUFFIX
from wm_sim.town_signs import with_signs
from wm_sim.town_sumo import compact, compressed, run_tool
from wm_sim.town_turns import junction_shapes, turn_paths
from wm_sim.town_walks import walk_network

MAX_MISALIGNMENT_M = 0.5  # between a SUMO lane and the nearest carla.Map lane centre

_JUNCTIONS = (
    "--default.junctions.radius 5 --no-turnarounds true --junctions.corner-detail 5 "
    "--junctions.internal-link-detail 8"
)
# The SUMO network is read back from the OpenDRIVE map, so that both have the same junction lanes.
FROM_OPENDRIVE = (
    "--offset.disable-normalization true --opendrive.curve-resolution 0.5 "
    "--opendrive.internal-shapes true --opendrive.lane-shapes true --no-turnarounds true "
    "--geometry.remove false"
)
# As CARLA runs its lights: one approach green at a time, then yellow, then all red.
LIGHTS = "--tls.layout incoming --tls.green.time 8 --tls.yellow.time 3 --tls.allred.time 1"
_GUESSED_LIGHTS = "--tls.discard-loaded true --tls.guess --tls.guess.threshold 30"


class UnusableTownError(UserError):
    """A drawing that gives no town; another one may."""


@dataclass(frozen=True)
class StreetRules:
    """What netconvert cannot see in the drawing; names are those of the drawn nodes.

    Attributes:
        junctions: node -> SUMO's junction type (``traffic_light``, ``priority_stop``,
            ``right_before_left`` ...).
        minor: streets (from, to) that give way, or stop, at their end.
        without_pavement: streets (from, to) that nobody walks along.
    """

    junctions: dict[str, str]
    minor: frozenset[tuple[str, str]] = frozenset()
    without_pavement: frozenset[tuple[str, str]] = frozenset()

    @property
    def stops(self) -> set[tuple[str, str]]:
        """The streets that end at a stop sign."""
        return {s for s in self.minor if self.junctions.get(s[1], "").endswith("_stop")}


def _street_names(xodr: str, net: ET.Element) -> dict[str, tuple[str, str]]:
    """SUMO edge -> names of the drawn nodes that it leads from and to."""
    names = {j.attrib["id"]: j.attrib["name"] for j in ET.fromstring(xodr).iter("junction")}
    return {
        edge.attrib["id"]: (names.get(edge.attrib["from"], ""), names.get(edge.attrib["to"], ""))
        for edge in net.iter("edge")
        if edge.get("function", "normal") == "normal"
    }


def _apply_rules(work: Path, rules: StreetRules) -> None:
    """Set junction types and priorities in b.net.xml, which OpenDRIVE does not carry."""
    xodr, net = (work / "b.xodr").read_text(), read_net(work / "b.net.xml")
    names = {j.attrib["id"]: j.attrib["name"] for j in ET.fromstring(xodr).iter("junction")}
    nodes, edges = junction_shapes(net), ET.Element("edges")
    for node in nodes.iter("node"):
        node.set("type", rules.junctions.get(names.get(node.attrib["id"], ""), "priority"))
    for edge, ends in _street_names(xodr, net).items():
        ET.SubElement(edges, "edge", id=edge, priority="1" if ends in rules.minor else "2")
    ET.ElementTree(nodes).write(work / "d.nod.xml")
    ET.ElementTree(edges).write(work / "d.edg.xml")
    turns = turn_paths(net, carla.Map("drawn", compact(xodr)))
    ET.ElementTree(turns).write(work / "d.con.xml")
    inputs = "-s b.net.xml -n d.nod.xml -e d.edg.xml -x d.con.xml -o d.net.xml"
    options = f"{inputs} --offset.disable-normalization true --no-turnarounds true {LIGHTS}"
    run_tool("netconvert", options.split(), work)
    (work / "d.net.xml").replace(work / "b.net.xml")
    (work / "b.xodr").write_text(with_signs(xodr, rules.stops))


def _convert(work: Path, rules: StreetRules | None) -> None:
    """The drawn streets -> b.xodr and b.net.xml."""
    inputs = "-n b.nod.xml -e b.edg.xml -o c.net.xml --opendrive-output b.xodr"
    if (work / "b.con.xml").exists():
        inputs += " -x b.con.xml"
    if rules is not None:  # keep the coordinates of the drawing
        inputs += " --offset.disable-normalization true"
    run_tool("netconvert", f"{inputs} {_JUNCTIONS}".split(), work)
    lights = f"{_GUESSED_LIGHTS if rules is None else '--tls.discard-loaded true'} {LIGHTS}"
    inputs = "--opendrive-files b.xodr -o b.net.xml"
    run_tool("netconvert", f"{inputs} {FROM_OPENDRIVE} {lights}".split(), work)


def build(work: Path, name: str, out: Path, rules: StreetRules | None = None) -> Alignment:
    """Make a town of the streets in ``work`` (b.nod.xml, b.edg.xml and perhaps b.con.xml).

    Args:
        work: folder with the drawn streets, also for intermediate files.
        name: of the town.
        out: folder that gets the three files of the town.
        rules: None gives every junction of three streets or more a light, and no signs.

    Returns:
        How well the SUMO network agrees with the OpenDRIVE map.

    Raises:
        UserError: SUMO is missing or fails.
        UnusableTownError: the two maps disagree.
    """
    _convert(work, rules)
    without: set[str] = set()
    if rules is not None:
        _apply_rules(work, rules)
        streets = _street_names((work / "b.xodr").read_text(), read_net(work / "b.net.xml"))
        without = {edge for edge, ends in streets.items() if ends in rules.without_pavement}
    xodr = (work / "b.xodr").read_text()
    found = lane_alignment(work / "b.net.xml", carla.Map(name, compact(xodr)))
    if found.worst_m > MAX_MISALIGNMENT_M:
        raise UnusableTownError(
            f"{name}: SUMO and OpenDRIVE lanes are {found.worst_m:.2f} m apart; change its seed"
        )
    walk = walk_network(work / "b.net.xml", work, without)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}{NET_SUFFIX}").write_bytes(compressed((work / "b.net.xml").read_text()))
    (out / f"{name}{WALK_SUFFIX}").write_bytes(compressed(walk))
    (out / f"{name}{XODR_SUFFIX}").write_bytes(compressed(xodr))
    return found
