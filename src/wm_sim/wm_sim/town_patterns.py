"""Street patterns: drawn by ``netgenerate``, without dead ends, with bent streets."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wm_sim.town_sumo import run_tool

SHAPE_STEP_M = 4.0
RAND = (
    "--rand --rand.iterations {n} --rand.min-distance 80 --rand.max-distance 150 "
    "--rand.min-angle 65"
)
GRID = "--grid --grid.x-number {nx} --grid.y-number {ny} --grid.x-length {lx} --grid.y-length {ly}"
LOOSE = GRID + " --perturb-x norm(0,{jitter}) --perturb-y norm(0,{jitter})"
SPIDER = (
    "--spider --spider.arm-number {arms} --spider.circle-number {circles} "
    "--spider.space-radius {radius} --spider.omit-center true"
)
_STREETS = (
    "--default.lanenumber {lanes} --default.speed {speed:g} --default.lanewidth 3.5 "
    "--random-type false --no-turnarounds true --default-junction-type priority"
)


@dataclass(frozen=True)
class Recipe:
    """How one town is drawn.

    Attributes:
        network: netgenerate arguments of the street pattern.
        seed: of the pattern and of the bends.
        bend: largest sideways bulge of a street, as a fraction of its length.
        closed: fraction of the streets that are taken out of the pattern.
        lanes: in each direction of a street.
        speed_mps: speed limit.
    """

    network: str
    seed: int
    bend: float = 0.08
    closed: float = 0.0
    lanes: int = 1
    speed_mps: float = 11.0


def _ends(edge: ET.Element) -> tuple[str, str]:
    """The nodes that a one-way edge leads from and to."""
    return edge.attrib["from"], edge.attrib["to"]


def _street(edge: ET.Element) -> tuple[str, str]:
    """The same key for both directions of a street."""
    first, last = sorted(_ends(edge))
    return first, last


def _close_streets(edges: ET.Element, recipe: Recipe) -> None:
    """Take a random part of the streets (both directions) out of the pattern."""
    rng = np.random.default_rng(recipe.seed)
    pairs = sorted({_street(edge) for edge in edges.iter("edge")})
    closed = {pair for pair in pairs if rng.random() < recipe.closed}
    for edge in list(edges.iter("edge")):
        if _street(edge) in closed:
            edges.remove(edge)


def _drop_dead_ends(nodes: ET.Element, edges: ET.Element) -> None:
    """Remove junctions with a single street until none is left (cars could only vanish there)."""
    while True:
        neighbours: dict[str, set[str]] = {n.attrib["id"]: set() for n in nodes.iter("node")}
        for edge in edges.iter("edge"):
            start, end = _ends(edge)
            neighbours[start].add(end)
        dead = {n for n, others in neighbours.items() if len(others) < 2}
        if not dead:
            break
        for node in [n for n in nodes.iter("node") if n.get("id") in dead]:
            nodes.remove(node)
        for edge in [e for e in edges.iter("edge") if not dead.isdisjoint(_ends(e))]:
            edges.remove(edge)
    for node in nodes.iter("node"):
        node.attrib.pop("tl", None)
        node.set("type", "traffic_light" if len(neighbours[node.attrib["id"]]) > 2 else "priority")


def _bend(nodes: ET.Element, edges: ET.Element, recipe: Recipe) -> None:
    """Bulge each street sideways by a sin^2 profile; both directions share the shape."""
    rng = np.random.default_rng(recipe.seed)
    position = {
        node.attrib["id"]: np.array([float(node.attrib["x"]), float(node.attrib["y"])])
        for node in nodes
    }
    bulge: dict[tuple[str, str], float] = {}
    for edge in edges.iter("edge"):
        pair = _street(edge)
        if pair not in bulge:
            bulge[pair] = rng.uniform(-recipe.bend, recipe.bend)
        first, last = (position[p] for p in pair)
        street = last - first
        steps = max(2, math.ceil(np.hypot(*street) / SHAPE_STEP_M))
        t = np.linspace(0.0, 1.0, steps + 1)[:, None]
        normal = np.array([-street[1], street[0]])
        shape = first + t * street + bulge[pair] * np.sin(math.pi * t) ** 2 * normal
        if _ends(edge) != pair:
            shape = shape[::-1]
        edge.set("shape", " ".join(f"{x:.2f},{y:.2f}" for x, y in shape))


def draw(recipe: Recipe, work: Path) -> tuple[ET.Element, ET.Element]:
    """Write b.nod.xml and b.edg.xml into ``work``; returns their nodes and edges.

    Raises:
        UserError: SUMO's tools are missing or fail.
    """
    streets = _STREETS.format(lanes=recipe.lanes, speed=recipe.speed_mps)
    arguments = f"{recipe.network} --seed {recipe.seed} {streets} -o a.net.xml"
    run_tool("netgenerate", arguments.split(), work)
    run_tool("netconvert", ["-s", "a.net.xml", "--plain-output-prefix", "a"], work)
    nodes, edges = (ET.parse(work / f"a.{kind}.xml").getroot() for kind in ("nod", "edg"))
    for location in nodes.findall("location"):
        nodes.remove(location)
    _close_streets(edges, recipe)
    _drop_dead_ends(nodes, edges)
    _bend(nodes, edges, recipe)
    ET.ElementTree(nodes).write(work / "b.nod.xml")
    ET.ElementTree(edges).write(work / "b.edg.xml")
    return nodes, edges
