"""``wm town``: the towns of the embedded simulator; add, generate, list and remove."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from wm_training.report import make_console, write_json

if TYPE_CHECKING:
    from wm_sim.alignment import Alignment


@dataclass(frozen=True)
class Add:
    """Make a town of an OpenDRIVE file; refuses maps that SUMO and carla.Map read differently."""

    file: Annotated[Path, tyro.conf.Positional]
    """OpenDRIVE file (.xodr)."""
    name: str | None = None
    """Name of the town (default: that of the file)."""
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """Write the alignment figures here."""


@dataclass(frozen=True)
class Generate:
    """Make a new town; the same seed gives the same town."""

    seed: int
    """Seed of the streets."""
    style: str = "loose"
    """Street pattern: grid, loose (a bent grid), random or ring."""
    lanes: int = 1
    """Lanes in each direction, 1 or 2."""
    name: str | None = None
    """Name of the town (default: made of style and seed)."""
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """Write the alignment figures here."""


@dataclass(frozen=True)
class List:
    """Name the towns."""


@dataclass(frozen=True)
class Remove:
    """Delete an added or generated town."""

    name: Annotated[str, tyro.conf.Positional]
    """Name of the town."""


@tyro.conf.configure(tyro.conf.OmitArgPrefixes)
@dataclass(frozen=True)
class Args:
    """Towns of the embedded simulator: add, generate, list, remove."""

    action: (
        Annotated[Add, tyro.conf.subcommand("add", prefix_name=False)]
        | Annotated[Generate, tyro.conf.subcommand("generate", prefix_name=False)]
        | Annotated[List, tyro.conf.subcommand("list", prefix_name=False)]
        | Annotated[Remove, tyro.conf.subcommand("remove", prefix_name=False)]
    )


def main(args: Args) -> None:
    """Dispatch."""
    match args.action:
        case Add() as action:
            add(action)
        case Generate() as action:
            generate(action)
        case List():
            list_all()
        case Remove() as action:
            remove(action)


def _alignment_line(found: Alignment) -> str:
    return (
        f"SUMO against carla.Map: edges p95 {found.edges_p95_m:.2f} m, max "
        f"{found.edges_max_m:.2f} m; junctions p95 {found.junctions_p95_m:.2f} m, max "
        f"{found.junctions_max_m:.2f} m; {found.unmatched:.1%} of {found.points} "
        "points without a partner"
    )


def add(args: Add) -> None:
    """``wm town add``."""
    from wm_sim import town_add

    report = town_add.add(args.file, args.name)
    console = make_console()
    console.print(f"[bold]{report.town}[/bold] added: {report.edges} stretches of street")
    console.print(_alignment_line(report.alignment))
    origin = {"file": "as the file has them", "guessed": "guessed: the file has none", "none": ""}
    console.print(
        f"lights: {report.lights} at {report.light_junctions} junctions"
        + (f" ({origin[report.lights_from]})" if report.lights else "")
    )
    if report.removed_lanes:
        console.print(
            f"removed, as they disagree: {report.removed_share:.1%} of the lanes "
            f"({', '.join(report.removed_lanes)})"
        )
    if report.closed_roads:
        roads = ", ".join(map(str, report.closed_roads))
        console.print(f"closed (dead ends, or over another road): OpenDRIVE roads {roads}")
    console.print(
        f"pavements: {'where the map has sidewalks' if report.sidewalks else 'beside the lanes'}; "
        f"{report.routes} routes. Try: wm drive --town {report.town}"
    )
    if args.json is not None:
        write_json(args.json, report.to_dict())


def generate(args: Generate) -> None:
    """``wm town generate``."""
    from wm_sim.town_generate import generate_town

    made = generate_town(args.seed, args.style, args.lanes, args.name)
    console = make_console()
    console.print(
        f"[bold]{made.town}[/bold] generated: {made.lights} junctions with lights, {made.stops} "
        f"stop signs, {made.speed_kmh} km/h. Try: wm drive --town {made.town}"
    )
    console.print(_alignment_line(made.alignment))
    if args.json is not None:
        write_json(args.json, made.to_dict())


def list_all() -> None:
    """``wm town list``."""
    from wm_sim.town_files import added_towns, shipped_towns, user_town_dir

    console = make_console()
    console.print(f"shipped: {', '.join(shipped_towns())}")
    console.print(f"added:   {', '.join(added_towns()) or 'none'} ({user_town_dir()})")


def remove(args: Remove) -> None:
    """``wm town remove``."""
    from wm_sim import town_add

    town_add.remove(args.name)
    make_console().print(f"{args.name} removed")
