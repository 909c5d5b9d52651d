"""New towns from a seed, for the user's folder."""

from __future__ import annotations

import math
import tempfile
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import carla
import numpy as np

from wm_dynamics.errors import UserError
from wm_sim.alignment import Alignment
from wm_sim.router import Router
from wm_sim.routes import fixed_routes
from wm_sim.town_add import check_name, publish, staging_folder
from wm_sim.town_build import StreetRules, UnusableTownError, build
from wm_sim.town_files import XODR_SUFFIX, read_text
from wm_sim.town_patterns import GRID, LOOSE, RAND, SPIDER, Recipe, draw

UNSIGNALISED = 0.25  # share of the junctions that have stop signs instead of lights
_SPEEDS_KMH = (30, 40, 50)
_MAX_LANES = 2
_DRAWINGS = 8  # about one in four is refused
_NEXT_DRAWING = 1_000_003  # a prime: other seeds are not met again


def _grid(rng: np.random.Generator) -> tuple[str, float, float]:
    nx, ny = rng.integers(4, 6, size=2)
    lx, ly = rng.uniform(90, 120, size=2)
    return GRID.format(nx=nx, ny=ny, lx=f"{lx:.0f}", ly=f"{ly:.0f}"), 0.08, 0.1


def _loose(rng: np.random.Generator) -> tuple[str, float, float]:
    nx, ny = rng.integers(5, 7, size=2)
    lx, ly = rng.uniform(95, 115, size=2)
    network = LOOSE.format(nx=nx, ny=ny, lx=f"{lx:.0f}", ly=f"{ly:.0f}", jitter=9)
    return network, 0.08, 0.15


def _random(rng: np.random.Generator) -> tuple[str, float, float]:
    return RAND.format(n=rng.integers(34, 42)), 0.06, 0.0


def _ring(rng: np.random.Generator) -> tuple[str, float, float]:
    arms, circles = rng.integers(5, 8), rng.integers(2, 4)
    return SPIDER.format(arms=arms, circles=circles, radius=85), 0.06, 0.0


# A street pattern: its netgenerate arguments, bend and closed share.
STYLES: dict[str, Callable[[np.random.Generator], tuple[str, float, float]]] = {
    "grid": _grid,
    "loose": _loose,
    "random": _random,
    "ring": _ring,
}


@dataclass(frozen=True)
class Generated:
    """What was made.

    Attributes:
        town: its name.
        alignment: of SUMO's lanes with carla.Map's.
        lights: junctions with traffic lights.
        stops: streets that end at a stop sign.
        speed_kmh: the speed limit.
    """

    town: str
    alignment: Alignment
    lights: int
    stops: int
    speed_kmh: int

    def to_dict(self) -> dict:
        """For JSON; the alignment figures beside the others."""
        others = asdict(self)
        del others["alignment"]
        return {**self.alignment.to_dict(), **others}


def recipe_of(seed: int, style: str, lanes: int) -> Recipe:
    """The recipe of a seed.

    Raises:
        UserError: unknown style, or too many lanes.
    """
    if style not in STYLES:
        raise UserError(f"unknown style '{style}'; known styles: {', '.join(STYLES)}")
    if not 1 <= lanes <= _MAX_LANES:
        raise UserError(f"a street has 1 to {_MAX_LANES} lanes in each direction, not {lanes}")
    if not 0 <= seed < 1 << 31:
        raise UserError(f"the seed must be from 0 to {(1 << 31) - 1}, not {seed}")
    rng = np.random.default_rng([seed, zlib.crc32(style.encode()), lanes])
    network, bend, closed = STYLES[style](rng)
    speed = int(rng.choice(_SPEEDS_KMH))
    return Recipe(network, seed, bend, closed, lanes, speed / 3.6)


def _minor_streets(
    name: str, arms: set[str], position: dict[str, np.ndarray]
) -> set[tuple[str, str]]:
    """The streets that stop at a junction: all but the two that go straight on best."""
    bearing = {
        arm: math.atan2(*(position[arm] - position[name])[::-1].tolist()) for arm in sorted(arms)
    }

    def bend(pair: tuple[str, str]) -> float:
        return abs(math.pi - (bearing[pair[0]] - bearing[pair[1]]) % (2 * math.pi))

    through = min(combinations(sorted(arms), 2), key=bend)
    return {(arm, name) for arm in arms.difference(through)}


def street_rules(nodes: ET.Element, edges: ET.Element, seed: int) -> StreetRules:
    """Lights at most junctions of three streets or more, stop signs at the others."""
    rng = np.random.default_rng([seed, zlib.crc32(b"right of way")])
    position = {
        n.attrib["id"]: np.array([float(n.attrib["x"]), float(n.attrib["y"])])
        for n in nodes.iter("node")
    }
    arms: dict[str, set[str]] = {name: set() for name in position}
    for edge in edges.iter("edge"):
        arms[edge.attrib["to"]].add(edge.attrib["from"])
    junctions: dict[str, str] = {}
    minor: set[tuple[str, str]] = set()
    for name in sorted(arms):
        if len(arms[name]) < 3:
            continue
        if rng.random() < UNSIGNALISED:
            junctions[name] = "priority_stop"
            minor |= _minor_streets(name, arms[name], position)
        else:
            junctions[name] = "traffic_light"
    return StreetRules(junctions, frozenset(minor))


def _try(seed: int, style: str, lanes: int, name: str, made: Path) -> Generated:
    """Draw, build and check one town.

    Raises:
        UnusableTownError: SUMO and carla.Map disagree on it, or it is too small for its routes.
    """
    recipe = recipe_of(seed, style, lanes)
    with tempfile.TemporaryDirectory() as work:
        nodes, edges = draw(recipe, Path(work))
        rules = street_rules(nodes, edges, seed)
        alignment = build(Path(work), name, made, rules)
    carla_map = carla.Map(name, read_text(made / f"{name}{XODR_SUFFIX}"))
    try:
        fixed_routes(Router(carla_map), zlib.crc32(f"{name}/default".encode()))
    except UserError as error:
        raise UnusableTownError(str(error)) from None
    lights = sum(kind == "traffic_light" for kind in rules.junctions.values())
    return Generated(name, alignment, lights, len(rules.stops), round(recipe.speed_mps * 3.6))


def generate_town(seed: int, style: str, lanes: int, name: str | None = None) -> Generated:
    """Make the town of a seed and put it into the user's folder.

    Some drawings have a junction that SUMO and carla.Map read differently; then the next drawing
    of the same seed is taken.

    Raises:
        UserError: bad arguments, the name is taken, SUMO is missing, or no drawing of this seed
            can be used; nothing is left behind.
    """
    recipe_of(seed, style, lanes)
    name = name or f"{style}{seed}" + ("" if lanes == 1 else f"x{lanes}")
    check_name(name)
    for attempt in range(_DRAWINGS):
        with staging_folder() as made:
            try:
                drawing = (seed + attempt * _NEXT_DRAWING) % (1 << 31)
                town = _try(drawing, style, lanes, name, Path(made))
            except UnusableTownError as error:
                reason = error
                continue
            publish(Path(made), name)
            return town
    raise UserError(f"no drawing of seed {seed} can be used ({reason}); take another seed")
