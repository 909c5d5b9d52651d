"""``wm dataset``: training stores from bags, or straight from the simulator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_training.commands.counterfactual import Counterfactual, counterfactual


@dataclass(frozen=True)
class Recorded:
    """Recordings, and where in them the parts of a frame are."""

    bags: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Bag directories, or .mcap, .db3 or .bag files."""
    role_name: str | None = None
    """Role name of the recorded vehicle (default: the only one in the bag)."""
    topics: tuple[str, ...] = ()
    """Topics with other names than usual, as KEY=NAME (odometry=/ego/odom)."""
    cameras: tuple[str, ...] = ()
    """Topics of raw or compressed pictures, as NAME=TOPIC (front=/carla/hero/rgb_front/image)."""
    image_size: str = "128"
    """Pixels of the stored pictures, WIDTHxHEIGHT or the side of a square; their middle is kept.
    What driving models read: 144x80."""
    max_image_age: float = 0.1
    """How much older than its frame a picture may be, s; it is never newer."""
    frame_dt: float | None = None
    """Seconds between frames, to leave some out (default: as recorded)."""
    json: Path | None = None
    """File that gets the account of what was used and dropped, and why."""


@dataclass(frozen=True)
class Build(Recorded):
    """Turn recorded bags into a training store (appends when the store exists)."""

    out: Path = Path("data/store")
    """Store to write."""


@dataclass(frozen=True)
class Check(Recorded):
    """Say what of recorded bags could be used, and why not the rest; writes no store."""


@dataclass(frozen=True)
class Export:
    """Write the episodes of a store as .npz files."""

    store: Annotated[Path, tyro.conf.Positional]
    """Store directory."""
    out: Path = Path("data/episodes")
    """Folder to write to."""


@dataclass(frozen=True)
class Import:
    """Put .npz episodes into a store (appends when the store exists)."""

    source: Annotated[Path, tyro.conf.Positional]
    """An .npz file, or a folder of them."""
    out: Path = Path("data/imported")
    """Store to write."""
    steer_sign: Literal["left", "right"] | None = None
    """Where positive steering leads, in files that do not say: left (REP-103) or right (CARLA)."""
    frame_dt: float | None = None
    """Seconds between frames, in files that do not say."""


@dataclass(frozen=True)
class Collect:
    """Drive imperfect experts through towns of the embedded simulator."""

    towns: tuple[str, ...] = tuple(f"train{i:02d}" for i in range(1, 7))
    """Towns to drive in."""
    frames: int = 60_000
    """Frames per town (10 a second)."""
    mix: str = "standard"
    """Kind of driving: standard, dense (full streets, reckless drivers, many crashes), mixed (with
    people, cyclists, lorries and parked cars), hesitant (stops anywhere, for no reason), lessons (a
    careful expert pushed off its line, with its wishes kept: for `wm train pilotnet`), or planner
    and planner-mixed (a model drives, shaken now and then)."""
    model: str | None = None
    """Model directory or name, for the mixes of a planner."""
    camera: bool = False
    """Keep what the front camera sees too, every episode in a weather of its own."""
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
    verify: bool = False
    """Also compare every episode with the hash noted when it was written."""


@tyro.conf.configure(tyro.conf.OmitArgPrefixes)
@dataclass(frozen=True)
class Args:
    """Training stores: build, check, collect, counterfactual, export, import, info."""

    action: (
        Annotated[Build, tyro.conf.subcommand("build", prefix_name=False)]
        | Annotated[Check, tyro.conf.subcommand("check", prefix_name=False)]
        | Annotated[Collect, tyro.conf.subcommand("collect", prefix_name=False)]
        | Annotated[Counterfactual, tyro.conf.subcommand("counterfactual", prefix_name=False)]
        | Annotated[Export, tyro.conf.subcommand("export", prefix_name=False)]
        | Annotated[Import, tyro.conf.subcommand("import", prefix_name=False)]
        | Annotated[Info, tyro.conf.subcommand("info", prefix_name=False)]
    )


def main(args: Args) -> None:
    """Dispatch."""
    match args.action:
        case Build() as action:
            build(action, action.out)
        case Check() as action:
            build(action, None)
        case Collect() as action:
            collect(action)
        case Counterfactual() as action:
            counterfactual(action)
        case Export() as action:
            export(action)
        case Import() as action:
            take_in(action)
        case Info() as action:
            info(action)


def build(args: Recorded, out: Path | None) -> None:
    """``wm dataset build``; without ``out``, ``wm dataset check``."""
    from wm_training.bag_frames import PARTS, Sources
    from wm_training.from_bag import BuildOptions, build_store

    if not args.bags:
        raise UserError("name at least one bag: wm dataset build BAG [BAG ...] --out STORE")
    renamed = _pairs("--topics", args.topics)
    unknown = [key for key in renamed if key not in PARTS]
    if unknown:
        raise UserError(f"--topics: no part '{unknown[0]}'; parts: {', '.join(PARTS)}")
    cameras = _pairs("--cameras", args.cameras)
    if not all(name.isidentifier() for name in cameras):
        raise UserError("--cameras: a name becomes part of a file's, use letters, digits and _")
    if not args.max_image_age >= 0.0:
        raise UserError("--max-image-age must be at least 0")
    if args.frame_dt is not None and not 0.0 < args.frame_dt < inf:
        raise UserError("--frame-dt must be a positive number of seconds")
    size = _image_size(args.image_size)
    sources = Sources(args.role_name, renamed, cameras, size, args.max_image_age)
    build_store(args.bags, out, BuildOptions(sources, args.frame_dt), Console(), args.json)


def _image_size(text: str) -> tuple[int, int]:
    """``144x80`` or ``128`` -> (height, width)."""
    match = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text)
    if match is None:
        raise UserError(f"--image-size takes WIDTHxHEIGHT or a number of pixels, not '{text}'")
    width, height = match[1], match[2] or match[1]
    return int(height), int(width)


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    """``NAME=VALUE`` texts as a table."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    if len(pairs) < len(texts) or not all(name and value for name, value in pairs.items()):
        raise UserError(f"{option} takes NAME=TOPIC, each name once; got {' '.join(texts)}")
    return pairs


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
    if args.mix.startswith("planner") != (args.model is not None):
        raise UserError("the mixes of a planner need --model, and no other mix takes one")
    model = model_path(args.model) if args.model else None
    jobs = [
        CollectJob(
            t, args.frames, args.seed, args.out / t, args.mix, model=model, camera=args.camera
        )
        for t in args.towns
    ]
    run(jobs, args.processes)


def export(args: Export) -> None:
    """``wm dataset export``."""
    from wm_training.npz_episodes import export_store

    count = export_store(args.store, args.out)
    Console().print(f"{count} episodes written to {args.out}", soft_wrap=True)


def take_in(args: Import) -> None:
    """``wm dataset import``."""
    from wm_training.npz_import import import_episodes

    if args.frame_dt is not None and not 0.0 < args.frame_dt < inf:
        raise UserError("--frame-dt must be a positive number of seconds")
    import_episodes(args.source, args.out, args.steer_sign, args.frame_dt, Console())


def info(args: Info) -> None:
    """``wm dataset info``."""
    from wm_training.store_manifest import describe, verify

    console = Console()
    for path in args.stores:
        for line in describe(path):
            console.print(line, soft_wrap=True)
        if args.verify:
            verify(path)
            console.print("  every episode is what was written")
