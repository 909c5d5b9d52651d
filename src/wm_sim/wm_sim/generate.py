"""Make the shipped towns: ``python -m wm_sim.generate [--out DIR] [TOWN ...]``.

Needs ``eclipse-sumo`` (a development dependency: ``pip install eclipse-sumo``). The result depends
on nothing but the recipes below and the SUMO version. Each town is drawn by ``netgenerate``, its
dead ends are removed, its streets are bent, and ``netconvert`` writes the SUMO network and the
OpenDRIVE map from the same streets, with traffic lights as CARLA runs them: one approach green at
a time, then yellow, then all red.
"""

from __future__ import annotations

import argparse
import gzip
import math
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wm_dynamics.errors import UserError
from wm_sim.alignment import lane_alignment
from wm_sim.town_files import TOWN_DIR

_PROJECTION = "<![CDATA[+proj=tmerc +lat_0=0 +lon_0=0]]>"
MAX_MISALIGNMENT_M = 0.5  # between a SUMO lane and the nearest carla.Map lane centre
SHAPE_STEP_M = 4.0

_STREETS = (
    "--default.lanenumber 1 --default.speed 11 --default.lanewidth 3.5 --random-type false "
    "--no-turnarounds true --default-junction-type priority"
)
_JUNCTIONS = (
    "--default.junctions.radius 5 --no-turnarounds true --junctions.corner-detail 5 "
    "--junctions.internal-link-detail 8"
)
# The SUMO network is read back from the OpenDRIVE map, so that both have the same junction lanes.
_FROM_OPENDRIVE = (
    "--offset.disable-normalization true --opendrive.curve-resolution 0.5 "
    "--opendrive.internal-shapes true --opendrive.lane-shapes true --no-turnarounds true "
    "--geometry.remove false --tls.discard-loaded true --tls.layout incoming --tls.green.time 8 "
    "--tls.yellow.time 3 --tls.allred.time 1"
)
_RAND = (
    "--rand --rand.iterations {n} --rand.min-distance 80 --rand.max-distance 150 "
    "--rand.min-angle 65"
)
_GRID = "--grid --grid.x-number {nx} --grid.y-number {ny} --grid.x-length {lx} --grid.y-length {ly}"
_LOOSE = _GRID + " --perturb-x norm(0,{jitter}) --perturb-y norm(0,{jitter})"
_SPIDER = (
    "--spider --spider.arm-number {arms} --spider.circle-number {circles} "
    "--spider.space-radius {radius} --spider.omit-center true"
)


@dataclass(frozen=True)
class Recipe:
    """How one town is drawn.

    Attributes:
        network: netgenerate arguments of the street pattern.
        seed: of the pattern and of the bends.
        bend: largest sideways bulge of a street, as a fraction of its length.
        closed: fraction of the streets that are taken out of the pattern.
    """

    network: str
    seed: int
    bend: float = 0.08
    closed: float = 0.0


RECIPES = {
    "train01": Recipe(_LOOSE.format(nx=5, ny=5, lx=100, ly=100, jitter=9), 101, closed=0.2),
    "train02": Recipe(_GRID.format(nx=5, ny=4, lx=110, ly=95), 102, closed=0.1),
    "train03": Recipe(_RAND.format(n=38), 102, bend=0.06),
    "train04": Recipe(_SPIDER.format(arms=6, circles=3, radius=85), 104, bend=0.06),
    "train05": Recipe(_LOOSE.format(nx=6, ny=4, lx=95, ly=110, jitter=12), 105, closed=0.15),
    "train06": Recipe(_RAND.format(n=38), 112),
    "val01": Recipe(_LOOSE.format(nx=4, ny=6, lx=105, ly=95, jitter=10), 201, closed=0.2),
    "val02": Recipe(_RAND.format(n=38), 105, bend=0.06),
    "test01": Recipe(_LOOSE.format(nx=5, ny=5, lx=95, ly=105, jitter=10), 302, closed=0.2),
    "test02": Recipe(_RAND.format(n=38), 100, bend=0.06),
    "tiny": Recipe(_GRID.format(nx=3, ny=3, lx=90, ly=90), 401, bend=0.06),
}


def _run(tool: str, arguments: str, cwd: Path) -> None:
    program = Path(sys.executable).parent / tool
    found = str(program) if program.exists() else shutil.which(tool)
    if found is None:
        raise UserError(f"{tool} is not installed: pip install eclipse-sumo")
    done = subprocess.run([found, *arguments.split()], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{tool} failed:\n{done.stderr}")


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


def _write_compressed(source: Path, target: Path) -> None:
    """Copy without comments, dates and gzip time, so that the same town gives the same bytes."""
    text = re.sub(r"<!--.*?-->\s*", "", source.read_text(), flags=re.S)
    text = re.sub(r'(<header[^>]*?) date="[^"]*"', r'\1 date=""', text)
    # netconvert writes no projection, and carla.Map warns about that on every load.
    text = re.sub(
        r"(<header[^>]*?)/>", rf"\1><geoReference>{_PROJECTION}</geoReference></header>", text
    )
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def generate(name: str, out: Path) -> str:
    """Make one town in ``out``; returns a line that describes it.

    Raises:
        UserError: SUMO is missing or fails, or the two maps of the town disagree.
    """
    recipe = RECIPES[name]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _run("netgenerate", f"{recipe.network} --seed {recipe.seed} {_STREETS} -o a.net.xml", work)
        _run("netconvert", "-s a.net.xml --plain-output-prefix a", work)
        nodes, edges = ET.parse(work / "a.nod.xml"), ET.parse(work / "a.edg.xml")
        for location in nodes.getroot().findall("location"):
            nodes.getroot().remove(location)
        _close_streets(edges.getroot(), recipe)
        _drop_dead_ends(nodes.getroot(), edges.getroot())
        _bend(nodes.getroot(), edges.getroot(), recipe)
        nodes.write(work / "b.nod.xml")
        edges.write(work / "b.edg.xml")
        inputs = "-n b.nod.xml -e b.edg.xml -o c.net.xml --opendrive-output b.xodr"
        _run("netconvert", f"{inputs} {_JUNCTIONS}", work)
        inputs = "--opendrive-files b.xodr -o b.net.xml --tls.guess --tls.guess.threshold 30"
        _run("netconvert", f"{inputs} {_FROM_OPENDRIVE}", work)
        out.mkdir(parents=True, exist_ok=True)
        for suffix in (".net.xml", ".xodr"):
            _write_compressed(work / f"b{suffix}", out / f"{name}{suffix}.gz")
    worst, p95 = lane_alignment(out / f"{name}.net.xml.gz", out / f"{name}.xodr.gz")
    if worst > MAX_MISALIGNMENT_M:
        raise UserError(
            f"{name}: SUMO and OpenDRIVE lanes are {worst:.2f} m apart; change its seed"
        )
    junctions = sum(n.get("type") == "traffic_light" for n in nodes.getroot().iter("node"))
    streets = len(list(edges.getroot().iter("edge"))) // 2
    return f"{name}: {junctions} signalised junctions, {streets} streets, lanes agree within " + (
        f"{worst:.2f} m (p95 {p95:.2f} m)"
    )


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("towns", nargs="*", help="towns to make (default: all)")
    parser.add_argument("--out", type=Path, default=TOWN_DIR, help="folder to write to")
    arguments = parser.parse_args()
    try:
        for name in arguments.towns or RECIPES:
            if name not in RECIPES:
                raise UserError(f"no recipe for town '{name}'; known: {', '.join(RECIPES)}")
            print(generate(name, arguments.out))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
