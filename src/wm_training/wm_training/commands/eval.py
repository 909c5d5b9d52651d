"""``wm eval``: closed-loop evaluation in process."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_perception.sight import View
from wm_planner.config_files import load_config
from wm_planner.paths import shared_dir
from wm_planner.planner_config import PlannerConfig
from wm_sim.scenarios import scenario_spec
from wm_sim.town_files import load_town
from wm_sim.world import World
from wm_training.commands.compare import comparison_table
from wm_training.commands.world_options import WorldOptions
from wm_training.comparison import compare
from wm_training.drivers import DEFAULT_MODELS, driver_model
from wm_training.eval_run import EvalRun
from wm_training.evaluation import DriverSpec
from wm_training.finished_routes import partial_path
from wm_training.overrides import with_settings
from wm_training.report import group_table, make_console, print_summary, route_table, write_json
from wm_training.scoring import TIME_LIMIT_S
from wm_training.suites import RouteTask, scenario_task, suite_tasks

DEFAULT_TOWN = "test01"
ALIASES = {"bc": "pilotnet"}  # behaviour cloning
Repeated = tyro.conf.UseAppendAction


@dataclass(frozen=True)
class Args(WorldOptions):
    """Drive a suite of routes in process and score it.

    With --json a run that was killed goes on when the same command is given again.
    """

    suite: str | None = None
    """Named suite; see the list in docs/evaluation.md. Replaces --town ... --scenario."""
    town: str | None = None
    """Town to drive in when no suite is named; test01, or those of the scenario."""
    routes: int = 3
    """Number of routes, or of runs of the scenario."""
    seed: int = 0
    """Seed of traffic and planner."""
    seeds: int = 1
    """Drive everything this often, each time with the next seed."""
    time_limit_s: float = TIME_LIMIT_S
    """Simulated seconds after which a route ends as "timeout"."""
    fault: str = ""
    """Fault of every frame or command, e.g. odometry:drop:0.2; see docs/evaluation.md."""
    driver: str = "planner"
    """planner, actor (the behaviour learned in the model, no search), blind (knows only its own
    motion), untrained (random weights), expert, pilotnet, pilotnet-image, constant or random."""
    compare: str | None = None
    """Drivers to compare on the same routes, by commas, instead of --driver; NAME=DIR names a
    driver's model: planner,pilotnet=runs/pilotnet,expert."""
    model: str | None = None
    """Model directory, or the name of a shipped model; left out, the driver's own. With --compare,
    of those who drive by a world model."""
    planner: Path | None = None
    """Planner parameter file (default: config/planner.yaml)."""
    set: Annotated[tuple[str, ...], Repeated] = ()
    """Parameter of the planner, e.g. --set horizon=20 or --set weights.collision=80; repeatable."""
    gate: bool = True
    """Let the safety gate check every command; the expert never has one."""
    view: View = "full"
    """Which objects the masks show: all, or those in the ego's line of sight."""
    processes: int = 2
    """Simulators run at once."""
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """Write the machine-readable report here; finished routes are kept beside it until then."""
    videos: Path | None = None
    """Folder for a video of the last seconds of every drive that failed."""


def tasks_of(args: Args) -> tuple[str, list[RouteTask]]:
    """(suite name, tasks) of the arguments.

    Raises:
        UserError: unknown suite or town.
    """
    if args.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {args.seeds}")
    if args.suite is not None:
        name, tasks = args.suite, suite_tasks(args.suite, args.seed, args.time_limit_s, args.seeds)
    else:
        name, tasks = _plain_tasks(args)
    if not args.fault:
        return name, tasks
    if any(task.fault for task in tasks):
        raise UserError(f"suite '{name}' has faults of its own; leave out --fault")
    return f"{name}-{args.fault}", [replace(task, fault=args.fault) for task in tasks]


def _plain_tasks(args: Args) -> tuple[str, list[RouteTask]]:
    """Without a suite: the first routes of a town, or runs of a scenario."""
    world = args.world
    if args.scenario and args.town is None:
        tasks = [
            scenario_task(world, args.traffic, args.seed, run, args.time_limit_s)
            for run in range(args.routes * args.seeds)
        ]
        return f"scenario-{args.scenario}-traffic{args.traffic}", tasks
    town = args.town or DEFAULT_TOWN
    load_town(town)
    task = RouteTask(town, 0, args.traffic, args.seed, args.time_limit_s, world)
    if args.scenario:
        task = replace(task, off_route_m=scenario_spec(args.scenario).off_route_m)
    tasks = [
        replace(task, route=route, seed=args.seed + number)
        for route in range(args.routes)
        for number in range(args.seeds)
    ]
    return f"{town}-traffic{args.traffic}{world_name(world)}", tasks


def world_name(world: World) -> str:
    """What is unlike an ordinary episode, as part of a name: ``-pedestrians20-weatherrain``."""
    changed = {f.name: getattr(world, f.name) for f in fields(World)}
    plain = World()
    return "".join(f"-{k}{v}" for k, v in changed.items() if v != getattr(plain, k))


def drivers_of(args: Args) -> dict[str, str | None]:
    """Driver -> its model as named, None for the driver's own."""
    if args.compare is None:
        return {ALIASES.get(args.driver, args.driver): args.model}
    found: dict[str, str | None] = {}
    for text in filter(None, args.compare.split(",")):
        given, _, model = text.strip().partition("=")
        name = ALIASES.get(given, given)
        of_worlds = DEFAULT_MODELS.get(name) == DEFAULT_MODELS["planner"]
        found[name] = model or (args.model if of_worlds else None)
    return found


def runs_of(args: Args) -> dict[str, EvalRun]:
    """What to drive, by driver.

    Raises:
        UserError: something asked for does not exist.
    """
    drivers = {name: driver_model(name, model) for name, model in drivers_of(args).items()}
    suite, tasks = tasks_of(args)
    file = args.planner or shared_dir("config") / "planner.yaml"
    planner = with_settings(load_config(file, PlannerConfig), args.set)
    runs = {}
    for name, model in drivers.items():
        driver = DriverSpec(name, model, planner, args.gate, args.view)
        named = drivers_of(args)[name] or DEFAULT_MODELS[name] or ""
        plans = DEFAULT_MODELS[name] == DEFAULT_MODELS["planner"]
        settings = list(args.set) if plans else []  # nobody else has these parameters
        about: dict[str, Any] = {"seed": args.seed, "model": named, "settings": settings}
        runs[name] = EvalRun(suite, tasks, driver, args.processes, args.videos, about)
    return runs


def main(args: Args) -> None:
    """Run the evaluation."""
    console = make_console()
    runs = runs_of(args)
    kept: list[Path] = []
    reports = {}
    for name, run in runs.items():
        keep = None
        if args.json is not None:
            tag = args.json if args.compare is None else Path(f"{args.json}.{name}")
            keep = partial_path(tag)
            kept.append(keep)
        report, drives = run.drive(console, keep)
        reports[name] = report
        deadline_ms = run.driver.planner.deadline_ms
        console.print(route_table(drives, deadline_ms, f"{name} on {run.suite}"))
        _show(console, report["summary"])
    document: dict[str, Any] = next(iter(reports.values()))
    if args.compare is not None:
        first, *others = reports.values()
        compared = [compare(first, other) for other in others]
        document = {"suite": first["summary"]["suite"], "drivers": reports, "comparison": compared}
        for comparison in compared:
            console.print(comparison_table(comparison))
    if args.json is not None:
        write_json(args.json, document)
        console.print(f"report: {args.json}")
        for path in kept:
            path.unlink()


def _show(console: Console, summary: dict[str, Any]) -> None:
    for name, groups in summary["groups"].items():
        if name != "scenario":
            console.print(group_table(name, groups))
    print_summary(console, summary)
    for name, (mastered, count) in summary["scenarios"].items():
        console.print(f"  {name}: mastered {mastered} of {count}")
