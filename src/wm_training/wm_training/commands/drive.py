"""``wm drive``: routes over the live ROS graph, every node a real process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from wm_perception.latency import summary as latency_summary
from wm_planner.node_table import DriveOptions, notes
from wm_planner.paths import DEFAULT_MODEL
from wm_sim.faults_spec import parse_faults
from wm_training.commands.world_options import WorldOptions
from wm_training.evaluation import Drive
from wm_training.live import checked_options, live_graph, new_run_dir
from wm_training.report import make_console, print_summary, route_table, write_json
from wm_training.scoring import TIME_LIMIT_S
from wm_training.suites import RouteTask, scenario_task, suite_tasks
from wm_training.summary import summarise
from wm_training.view.server import DEFAULT_HOST, address_of, listening_socket

DEADLINE_MS = 100.0


@dataclass(frozen=True)
class Args(WorldOptions):
    """Drive routes over ROS 2, show how it goes, and write a report and a video."""

    town: str = "test01"
    """Town of the embedded simulator."""
    suite: str | None = None
    """Named suite of routes; replaces --town, --routes, --traffic, --scenario and who else is
    there."""
    routes: int = 3
    """Number of routes."""
    first_route: int = 0
    """Index of the first route in the town's list."""
    seed: int = 0
    """Seed of traffic and planner."""
    time_limit_s: float = TIME_LIMIT_S
    """Simulated seconds after which a route ends as "timeout"."""
    driver: str = "planner"
    """planner, actor (the behaviour learned in the model, no search), blind (knows only its own
    motion), untrained (random weights) or expert."""
    model: str = DEFAULT_MODEL
    """Model directory, or the name of a shipped model."""
    source: str = "embedded"
    """Who publishes the vehicle's topics: embedded, carla_bridge or carla_native."""
    role_name: str = "ego_vehicle"
    """Role name of the vehicle."""
    realtime: bool = False
    """Pace the embedded simulator in real time instead of lockstep."""
    sensors: str = "front"
    """Sensor rig: front (one camera), full (CARLA's example), or the path of an objects.json."""
    camera: bool = True
    """Render cameras."""
    video: bool = True
    """Write <town>.mp4: top view, camera, model input and the imagined futures."""
    view: bool = False
    """Show the drive in the browser while it lasts (docs/view.md)."""
    view_port: int = 8765
    """Port of the live view."""
    record: Path | None = None
    """Also record a bag into this new directory."""
    images: bool = False
    """Record the front camera too."""
    fault: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Fault to inject into the embedded simulator's topics, e.g. odometry:delay:3; repeatable."""
    config_dir: Path | None = None
    """Folder of other parameter files than the shipped ones."""
    out: Path | None = None
    """Run directory (default: runs/<time>)."""
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """Write the machine-readable report here too."""


def options_of(args: Args, town: str) -> DriveOptions:
    """The drive's options.

    Raises:
        UserError: an unknown town, model, driver or source, or what is no fault.
    """
    return checked_options(
        {
            "source": args.source,
            "driver": args.driver,
            "model": args.model,
            "role_name": args.role_name,
            "town": town,
            "seed": args.seed,
            "traffic": args.traffic,
            "synchronous": not args.realtime,
            "sensors": args.sensors,
            "camera": args.camera,
            "wait_for_start": args.source == "embedded",
            "faults": ",".join(fault.text for fault in parse_faults(args.fault)),
            "record": str(args.record) if args.record else "",
            "record_images": args.images,
            "view": args.view,
            "view_port": args.view_port,
            "config_dir": str(args.config_dir) if args.config_dir else "",
        }
    )


def tasks_of(args: Args) -> tuple[str, dict[str, list[RouteTask]]]:
    """(suite name, town -> tasks).

    Raises:
        UserError: unknown suite, scenario or weather.
    """
    world = args.world
    count = args.routes if args.source == "embedded" else 1
    if args.suite is not None:
        tasks, name = suite_tasks(args.suite, args.seed, args.time_limit_s), args.suite
    elif args.scenario:
        tasks = [
            scenario_task(world, args.traffic, args.seed, run, args.time_limit_s)
            for run in range(count)
        ]
        name = f"{args.scenario}-traffic{args.traffic}"
    else:
        numbers = range(args.first_route, args.first_route + count)
        tasks = [
            RouteTask(args.town, route, args.traffic, args.seed, args.time_limit_s, world)
            for route in numbers
        ]
        name = f"{args.town}-traffic{args.traffic}"
    towns = dict.fromkeys(task.town for task in tasks)
    return name, {town: [t for t in tasks if t.town == town] for town in towns}


def main(args: Args) -> None:
    """Drive, then report; what was driven before an interruption is reported too."""
    console = make_console()
    suite, by_town = tasks_of(args)
    if args.view:
        with listening_socket(DEFAULT_HOST, args.view_port) as place:  # said before anything starts
            args = replace(args, view_port=place.getsockname()[1])
            address = address_of(place)
    options = {town: options_of(args, town) for town in by_town}
    run_dir = args.out or new_run_dir()
    drives = []
    for note in notes(next(iter(options.values()))):
        console.print(f"[yellow]note:[/yellow] {note}")
    if args.view:
        console.print(f"live view: {address}", highlight=False)
    console.print(f"starting the nodes; run directory {run_dir}")
    try:
        for town, tasks in by_town.items():
            video = run_dir / f"{town}.mp4" if args.video else None
            with live_graph(options[town], run_dir / town, video) as graph:
                drives += _drive_town(graph, tasks, console)
    finally:
        if drives:
            report = summarise(
                [d.result for d in drives], [ms for d in drives for ms in d.plan_ms], DEADLINE_MS,
                seed=args.seed, model=args.model, suite=suite, driver=args.driver,
            )  # fmt: skip
            report["summary"]["latency_ms"] = latency_summary(_stages(drives))
            console.print(route_table(drives, DEADLINE_MS, f"{args.driver} over ROS 2, {suite}"))
            print_summary(console, report["summary"])
            for path in filter(None, (run_dir / "report.json", args.json)):
                write_json(path, report)
            console.print(f"report, logs{' and video' if args.video else ''}: {run_dir}")


def _stages(drives: Sequence[Drive]) -> dict[str, list[float]]:
    """Stage -> ms of all frames of all routes."""
    names = dict.fromkeys(name for drive in drives for name in drive.stages_ms)
    return {
        name: [ms for drive in drives for ms in drive.stages_ms.get(name, [])] for name in names
    }


def _drive_town(graph, tasks: list[RouteTask], console: Console):
    """Drive the tasks with a progress bar per route; yields each finished drive."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:5.1f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        for task in tasks:
            title = f"{task.town} route {task.route}"
            bar = progress.add_task(title, total=100.0)
            drive = graph.drive(
                task, lambda percent, bar=bar: progress.update(bar, completed=percent)
            )
            progress.update(bar, description=f"{title}: {drive.result.outcome}")
            yield drive
