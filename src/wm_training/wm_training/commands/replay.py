"""``wm replay``: what another model would have wanted in a recorded drive."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from wm_dynamics.artefact_files import CONFIG, read_yaml
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.threads import limit_threads
from wm_planner.paths import DEFAULT_MODEL
from wm_training.replay_difference import difference, rows
from wm_training.replay_plans import AHEAD_S, Pair, RecordedWishes, replanned
from wm_training.report import make_console, write_json
from wm_training.view.planned_again import PlannedAgain
from wm_training.view.recorded import BagSource
from wm_training.view.server import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    address_of,
    listening_socket,
    serve_for_good,
)

# Only these plan; the others follow rules or clone.
PLANNERS = ("planner", "actor", "blind", "untrained")


@dataclass(frozen=True)
class Args:
    """Plan a recorded drive again, in process, and show how the plans differ.

    The vehicle goes where it went in the recording, whatever is planned now.
    """

    bag: Annotated[Path, tyro.conf.Positional]
    """Recording, as `wm record` writes it."""
    model: str = DEFAULT_MODEL
    """Model directory, or the name of a shipped model."""
    driver: str = "planner"
    """planner, actor, blind or untrained."""
    role_name: str | None = None
    """Role name of the vehicle (default: the one that is in the recording)."""
    seed: int = 0
    """Seed of the planner."""
    frames: int | None = None
    """Plan only as many frames."""
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """Write the difference and every frame here."""
    view: bool = False
    """Then show the recording in the browser, with both plans in every frame."""
    view_port: int = DEFAULT_PORT
    """Port of that page; 0 takes a free one."""


def main(args: Args) -> None:
    """Plan again and compare.

    Raises:
        UserError: no recording of a drive, no such planner, or the port of the page is in use.
    """
    if args.driver not in PLANNERS:
        raise UserError(f"driver '{args.driver}' makes no plans; known: {', '.join(PLANNERS)}")
    console = make_console()
    # The port is taken first: planning may take long, and must not have been for nothing.
    with listening_socket(DEFAULT_HOST, args.view_port) if args.view else nullcontext() as bound:
        recorded = RecordedWishes.open(args.bag, args.role_name)
        pairs, dt = _plan(args, recorded, console)
        found = difference(pairs)
        show(console, found)
        if args.json is not None:
            about = {"bag": str(args.bag), "recorded_model": recorded.model_hash,
                     "recorded_plans": recorded.planned, "model": args.model,
                     "driver": args.driver, "seed": args.seed}  # fmt: skip
            write_json(args.json, {"about": about, "difference": found, "frames": rows(pairs)})
        if bound is not None:
            name = args.model if args.driver == "planner" else f"{args.driver}, {args.model}"
            _serve(bound, recorded, PlannedAgain(name, dt, pairs), console)


def _plan(args: Args, recorded: RecordedWishes, console: Console) -> tuple[list[Pair], float]:
    """Both wishes in every frame, and the seconds per imagined step of those made now."""
    console.print(f"recorded: {recorded}; now: {args.driver}, model {args.model}", highlight=False)
    from wm_planner.driver import PlannerDriver
    from wm_training.drivers import driver_model, make_driver

    folder = driver_model(args.driver, args.model)
    driver = make_driver(args.driver, folder)
    limit_threads(1)
    assert isinstance(driver, PlannerDriver) and folder is not None
    dt = read_yaml(folder / CONFIG, ModelConfig).dt
    with console.status("planning"):
        pairs = list(islice(replanned(args.bag, driver, dt, recorded, args.seed), args.frames))
    if not pairs:
        raise UserError(f"{args.bag}: no complete frame; `wm dataset build` says what is missing")
    return pairs, dt


def _serve(
    bound: socket.socket, recorded: RecordedWishes, again: PlannedAgain, console: Console
) -> None:
    """The page with both plans, until Ctrl-C."""
    console.print(f"both plans: {address_of(bound)}  (Ctrl-C ends it)", highlight=False)
    serve_for_good(BagSource(recorded.index, again=again), bound)


def show(console: Console, found: dict[str, Any]) -> None:
    """The difference as tables."""
    table = Table(title=f"{found['frames']} frames, planned twice", box=SIMPLE_HEAD)
    for heading in ("difference", "median", "95 %"):
        table.add_column(heading, justify="left" if heading == "difference" else "right")
    named = [("steering", found["steer"]), ("acceleration", found["accel"])]
    named += [(f"plans after {s:g} s, m", found["apart_m"][f"{s:g} s"]) for s in AHEAD_S]
    for name, spread in named:
        table.add_row(name, _text(spread["median"]), _text(spread["p95"]))
    table.add_row("one brakes, the other accelerates", _share(found["opposite_share"]), "")
    console.print(table)
    table = Table(box=SIMPLE_HEAD)
    for heading in ("median of", "recorded", "now"):
        table.add_column(heading, justify="left" if heading == "median of" else "right")
    for name, key in (("planning, ms", "plan_ms"), ("P(collision)", "collision"),
                      ("surprise, nats", "surprise"), ("doubt, level", "doubt")):  # fmt: skip
        table.add_row(name, _text(found[key]["before"]), _text(found[key]["after"]))
    console.print(table)
    table = Table(title="furthest apart", box=SIMPLE_HEAD)
    for heading in ("at, s", "difference", "steering", "acceleration"):
        table.add_column(heading, justify="right")
    for row in found["worst"]:
        pairs = [
            f"{row[f'{n}_before']:+.2f} → {row[f'{n}_after']:+.2f}" for n in ("steer", "accel")
        ]
        table.add_row(f"{row['t']:.1f}", _text(row["difference"]), *pairs)
    console.print(table)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
