"""``wm record``: a rosbag2 (mcap) of any driver on any source of the topics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_planner.paths import DEFAULT_MODEL
from wm_training.live import checked_options, live_graph, new_run_dir
from wm_training.suites import RouteTask


@dataclass(frozen=True)
class Args:
    """Record the vehicle's topics and commands into a bag.

    With `--source carla_bridge --driver none` it records whoever drives there, until Ctrl-C.
    """

    out: Annotated[Path, tyro.conf.Positional]
    """Bag directory to create."""
    source: str = "embedded"
    """Who publishes the topics: embedded, carla_bridge or carla_native."""
    driver: str = "expert"
    """expert, planner, actor, blind, untrained, or none (somebody else drives)."""
    town: str = "train01"
    """Town of the embedded simulator."""
    routes: int = 3
    """Number of routes to drive (embedded source)."""
    first_route: int = 0
    """Index of the first route."""
    traffic: int = 20
    """Number of other cars (embedded source)."""
    seed: int = 0
    """Seed of traffic and planner."""
    model: str = DEFAULT_MODEL
    """Model directory or name, for drivers that need one."""
    role_name: str = "ego_vehicle"
    """Role name of the vehicle."""
    images: bool = False
    """Record the front camera too."""
    seconds: float | None = None
    """Stop after this much wall time (other sources, or --driver none)."""


def main(args: Args) -> None:
    """Record."""
    console = Console()
    if args.out.exists():
        raise UserError(f"{args.out} exists; choose a new directory for the bag")
    embedded = args.source == "embedded"
    options = checked_options(
        {
            "source": args.source,
            "driver": "expert" if args.driver == "none" else args.driver,
            "model": args.model,
            "town": args.town,
            "traffic": args.traffic,
            "seed": args.seed,
            "role_name": args.role_name,
            "camera": args.images,
            "wait_for_start": embedded and args.driver != "none",
            "record": str(args.out.resolve()),
            "record_images": args.images,
        }
    )
    only = ("bridge", "recorder") if args.driver == "none" else ()
    with live_graph(options, new_run_dir(), only=only) as graph:
        if embedded and args.driver != "none":
            for number in range(args.first_route, args.first_route + args.routes):
                task = RouteTask(args.town, number, args.traffic, args.seed)
                result = graph.drive(task, lambda percent: None).result
                console.print(
                    f"route {number}: {result.outcome}, {result.route_completion:.0f} % of "
                    f"{result.length_m:.0f} m in {result.duration_s:.0f} s"
                )
        else:
            console.print(f"recording into {args.out}; Ctrl-C ends it")
            graph.wait(args.seconds)
    console.print(f"bag: {args.out}")
