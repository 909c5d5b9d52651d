"""``wm dataset``: training stores from bags, or straight from the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wm_dynamics.errors import UserError


@dataclass(frozen=True)
class Build:
    """Turn recorded bags into a training store (appends when the store exists)."""

    bags: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Bag directories or .mcap files."""
    out: Path = Path("data/store")
    """Store to write."""
    role_name: str | None = None
    """Role name of the recorded vehicle (default: the only one in the bag)."""


@dataclass(frozen=True)
class Collect:
    """Drive imperfect experts through towns of the embedded simulator."""

    towns: tuple[str, ...] = tuple(f"train{i:02d}" for i in range(1, 7))
    """Towns to drive in."""
    frames: int = 60_000
    """Frames per town (10 a second)."""
    mix: str = "standard"
    """Kind of driving: standard, dense (full streets, reckless drivers, many crashes), or planner
    (a model drives, shaken now and then)."""
    model: str | None = None
    """Model directory or name, for the mix planner."""
    seed: int = 0
    """Seed of routes, traffic and errors."""
    out: Path = Path("data/collected")
    """Folder that gets one store per town."""
    processes: int = 2
    """Simulators run at once."""


@dataclass(frozen=True)
class Info:
    """Describe training stores."""

    stores: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Store directories."""


@tyro.conf.configure(tyro.conf.OmitArgPrefixes)
@dataclass(frozen=True)
class Args:
    """Training stores: build, collect, info."""

    action: (
        Annotated[Build, tyro.conf.subcommand("build", prefix_name=False)]
        | Annotated[Collect, tyro.conf.subcommand("collect", prefix_name=False)]
        | Annotated[Info, tyro.conf.subcommand("info", prefix_name=False)]
    )


def main(args: Args) -> None:
    """Dispatch."""
    match args.action:
        case Build() as action:
            build(action)
        case Collect() as action:
            collect(action)
        case Info() as action:
            info(action)


def build(args: Build) -> None:
    """``wm dataset build``."""
    from wm_training.from_bag import build_store

    if not args.bags:
        raise UserError("name at least one bag: wm dataset build BAG [BAG ...] --out STORE")
    build_store(args.bags, args.out, args.role_name, Console())


def collect(args: Collect) -> None:
    """``wm dataset collect``."""
    from wm_planner.paths import model_path
    from wm_sim.town_files import load_town
    from wm_training.collect import MIXES, CollectJob
    from wm_training.collect import collect as run

    if args.mix not in MIXES:
        raise UserError(f"unknown mix '{args.mix}'; known mixes: {', '.join(MIXES)}")
    for town in args.towns:
        load_town(town)
    if (args.mix == "planner") != (args.model is not None):
        raise UserError("--mix planner needs --model, and no other mix takes one")
    model = model_path(args.model) if args.model else None
    jobs = [
        CollectJob(t, args.frames, args.seed, args.out / t, args.mix, model=model)
        for t in args.towns
    ]
    run(jobs, args.processes)


def info(args: Info) -> None:
    """``wm dataset info``."""
    from wm_training.store import Store

    console = Console()
    for path in args.stores:
        store = Store.open(path)
        console.print(
            f"{path}: {store.frames} frames ({store.frames * store.frame_dt / 3600:.2f} h) in "
            f"{len(store.starts) - 1} episodes, hash {store.hash}"
        )
        for name in store.labels:
            values = store.label(name)
            console.print(f"  {name:<16} mean {values.mean():8.4f}  max {values.max():8.3f}")
