"""Make the shipped towns: ``python -m wm_sim.generate [--out DIR] [TOWN ...]``.

Needs ``eclipse-sumo`` (a development dependency: ``pip install eclipse-sumo``). The result depends
on nothing but the recipes below, the drawing of ``stage`` and the SUMO version.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from wm_dynamics.errors import UserError
from wm_sim import stage
from wm_sim.town_build import build
from wm_sim.town_files import TOWN_DIR
from wm_sim.town_patterns import GRID, LOOSE, RAND, SPIDER, Recipe, draw

RECIPES = {
    "train01": Recipe(LOOSE.format(nx=5, ny=5, lx=100, ly=100, jitter=9), 101, closed=0.2),
    "train02": Recipe(GRID.format(nx=5, ny=4, lx=110, ly=95), 102, closed=0.1),
    "train03": Recipe(RAND.format(n=38), 102, bend=0.06),
    "train04": Recipe(SPIDER.format(arms=6, circles=3, radius=85), 104, bend=0.06),
    "train05": Recipe(LOOSE.format(nx=6, ny=4, lx=95, ly=110, jitter=12), 105, closed=0.15),
    "train06": Recipe(RAND.format(n=38), 112),
    "val01": Recipe(LOOSE.format(nx=4, ny=6, lx=105, ly=95, jitter=10), 201, closed=0.2),
    "val02": Recipe(RAND.format(n=38), 105, bend=0.06),
    "test01": Recipe(LOOSE.format(nx=5, ny=5, lx=95, ly=105, jitter=10), 302, closed=0.2),
    "test02": Recipe(RAND.format(n=38), 100, bend=0.06),
    "tiny": Recipe(GRID.format(nx=3, ny=3, lx=90, ly=90), 401, bend=0.06),
}
STAGE = "stage"
SHIPPED = (*RECIPES, STAGE)


def generate(name: str, out: Path) -> str:
    """Make one shipped town in ``out``; returns a line that describes it.

    Raises:
        UserError: SUMO is missing or fails, or the two maps of the town disagree.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if name == STAGE:
            rules = stage.draw(work)
        else:
            rules = None
            draw(RECIPES[name], work)
        found = build(work, name, out, rules)
    return f"{name}: lanes agree within {found.worst_m:.2f} m over {found.points} points"


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("towns", nargs="*", help="towns to make (default: all)")
    parser.add_argument("--out", type=Path, default=TOWN_DIR, help="folder to write to")
    arguments = parser.parse_args()
    try:
        for name in arguments.towns or SHIPPED:
            if name not in SHIPPED:
                raise UserError(f"no recipe for town '{name}'; known: {', '.join(SHIPPED)}")
            print(generate(name, arguments.out))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
