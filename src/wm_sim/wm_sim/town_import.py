"""From an OpenDRIVE map to a SUMO network whose lanes lie where carla.Map's lie.

netconvert reads the roads; the paths through junctions come from carla.Map; lanes on which the two
still disagree are removed, and so is what cannot be left again.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import carla

from wm_dynamics.errors import UserError
from wm_sim.alignment import Alignment, LaneGap, lane_gaps, read_net, summarise
from wm_sim.town_build import MAX_MISALIGNMENT_M
from wm_sim.town_graph import round_trip_edges
from wm_sim.town_levels import roads_to_close
from wm_sim.town_lights import light_options
from wm_sim.town_sumo import run_tool
from wm_sim.town_turns import junction_shapes, turn_paths

MAX_REMOVED = 0.05  # share of the lane length that may disagree; more is another map
# The lane types of OpenDRIVE 1.8.
_LANE_TYPES = (
    *("driving", "stop", "restricted", "parking", "entry", "exit", "offRamp", "onRamp"),
    *("roadWorks", "tram", "rail", "biking", "sidewalk", "none", "shoulder", "border", "median"),
    *("special1", "special2", "special3", "mwyEntry", "mwyExit", "bidirectional"),
    *("connectingRamp", "slipLane", "bus", "taxi", "HOV", "curb", "walking"),
)
_KEEP = ["--offset.disable-normalization", "true", "--no-turnarounds", "true"]


@dataclass(frozen=True)
class Imported:
    """A network that agrees with its map.

    Attributes:
        net: path of the SUMO network.
        alignment: of the network as it is now.
        removed: SUMO lanes that were taken out because they disagree.
        removed_share: their part of the length of all lanes.
        dead_ends: SUMO edges that were taken out because no round trip leads over them.
        closed_roads: OpenDRIVE roads outside junctions that have no lane in the network.
        lights_from: "file", "guessed" or "none".
        light_junctions: junctions with lights.
        light_lanes: lanes that end at a light.
    """

    net: Path
    alignment: Alignment
    removed: tuple[str, ...]
    removed_share: float
    dead_ends: tuple[str, ...]
    closed_roads: tuple[int, ...]
    lights_from: str
    light_junctions: int
    light_lanes: int


def _lane_types() -> str:
    """A netconvert type file: only what carla.Map calls a driving lane becomes one."""
    types = ET.Element("types")
    for name in _LANE_TYPES:
        kind = ET.SubElement(types, "type", id=name, priority="1", speed="13.89", width="3.5")
        if name == "driving":
            kind.set("disallow", "pedestrian rail rail_urban rail_electric rail_fast tram ship")
        else:
            kind.set("disallow", "all")
            kind.set("discard", "true")
    return ET.tostring(types, encoding="unicode")


def _roads(net: ET.Element) -> dict[str, set[int]]:
    """SUMO edge -> the OpenDRIVE roads that its lanes come from."""
    found = {}
    for edge in net.iter("edge"):
        if edge.get("function", "normal") == "normal":
            origins = [
                param.attrib["value"]
                for param in edge.iterfind("lane/param")
                if param.get("key") == "origId"
            ]
            found[edge.attrib["id"]] = {
                int(part.split("_")[0]) for origin in origins for part in origin.split()
            }
    return found


def _import_and_correct(xodr: Path, carla_map: carla.Map, work: Path) -> Path:
    """The roads as netconvert reads them, with carla.Map's paths through the junctions."""
    (work / "lanes.typ.xml").write_text(_lane_types())
    options = ["--opendrive-files", str(xodr), "-o", "p.net.xml", "--flatten", "true"]
    options += ["--opendrive.curve-resolution", "0.5", "--type-files", "lanes.typ.xml"]
    options += ["--output.original-names", "true", "--tls.discard-loaded", "true"]
    run_tool("netconvert", [*options, *_KEEP], work)
    net = read_net(work / "p.net.xml")
    ET.ElementTree(junction_shapes(net)).write(work / "q.nod.xml")
    ET.ElementTree(turn_paths(net, carla_map)).write(work / "q.con.xml")
    inputs = ["-s", "p.net.xml", "-n", "q.nod.xml", "-x", "q.con.xml", "-o", "q.net.xml"]
    run_tool("netconvert", [*inputs, *_KEEP, "--output.original-names", "true"], work)
    return work / "q.net.xml"


def _lanes_that_are_off(gaps: list[LaneGap]) -> tuple[set[str], float]:
    """Lanes that lie elsewhere than carla.Map's, and their part of the length of all lanes.

    Raises:
        UserError: they are too many.
    """
    off = {g.lane for g in gaps if (g.gaps > MAX_MISALIGNMENT_M).any()}
    total = sum(len(g.gaps) for g in gaps)
    share = sum(len(g.gaps) for g in gaps if g.lane in off) / max(total, 1)
    if share > MAX_REMOVED:
        raise UserError(
            f"{share:.1%} of the lanes lie more than {MAX_MISALIGNMENT_M} m from carla.Map's "
            f"(at most {MAX_REMOVED:.0%} may): SUMO and carla.Map read this map differently"
        )
    return off, share


def _reduce(
    net: ET.Element, keep: set[str], turns: ET.Element, lights: list[str], work: Path
) -> ET.Element:
    """The network with only the edges to keep, with lights; written to r.net.xml."""
    ET.ElementTree(junction_shapes(net)).write(work / "r.nod.xml")
    ET.ElementTree(turns).write(work / "r.con.xml")
    (work / "keep.txt").write_text("".join(f"edge:{edge}\n" for edge in sorted(keep)))
    inputs = ["-s", "q.net.xml", "-n", "r.nod.xml", "-x", "r.con.xml", "-o", "r.net.xml"]
    run_tool("netconvert", [*inputs, *_KEEP, *lights, "--keep-edges.input-file", "keep.txt"], work)
    return read_net(work / "r.net.xml")


def import_network(xodr: Path, carla_map: carla.Map, work: Path) -> Imported:
    """Make the network of a map.

    Args:
        xodr: OpenDRIVE file.
        carla_map: the same file, parsed.
        work: an existing folder for intermediate files.

    Raises:
        UserError: netconvert cannot read the map, or more than 5 % of its lanes disagree with
            carla.Map, or no round trip is left.
    """
    net = read_net(_import_and_correct(xodr, carla_map, work))
    off, share = _lanes_that_are_off(lane_gaps(net, carla_map))
    roads, closed = _roads(net), roads_to_close(carla_map)
    shut = {edge for edge, origin in roads.items() if origin & closed}
    keep, turns = round_trip_edges(net, off, shut)
    if not keep:
        raise UserError("no round trip on driving lanes is left in this map: traffic cannot flow")
    lights_from, lights = light_options(ET.parse(xodr).getroot(), net)
    final = _reduce(net, keep, turns, lights, work)
    alignment = summarise(lane_gaps(final, carla_map))
    if alignment.worst_m > MAX_MISALIGNMENT_M:
        raise UserError(f"lanes lie {alignment.worst_m:.2f} m from carla.Map's after corrections")
    controlled = {
        (c.attrib["from"], c.attrib["fromLane"]) for c in final.iter("connection") if c.get("tl")
    }
    junctions = len({logic.attrib["id"] for logic in final.iter("tlLogic")})
    open_roads = set().union(*(roads[edge] for edge in keep))
    return Imported(
        net=work / "r.net.xml",
        alignment=alignment,
        removed=tuple(sorted(off)),
        removed_share=share,
        dead_ends=tuple(sorted(set(roads) - keep - shut)),
        closed_roads=tuple(sorted(set().union(*roads.values()) - open_roads | closed)),
        lights_from=lights_from if junctions else "none",
        light_junctions=junctions,
        light_lanes=len(controlled),
    )
