"""``wm eval``: closed-loop evaluation in process."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import tyro

from wm_dynamics.errors import UserError
from wm_planner.config_files import load_config
from wm_planner.paths import DEFAULT_MODEL, model_path, shared_dir
from wm_planner.planner_config import PlannerConfig
from wm_sim.scenarios import scenario_spec
from wm_sim.town_files import load_town
from wm_sim.world import World
from wm_training.commands.world_options import WorldOptions
from wm_training.drivers import DRIVERS
from wm_training.evaluation import evaluate
from wm_training.report import make_console, print_summary, route_table, write_json
from wm_training.scoring import TIME_LIMIT_S, RouteResult, summarise
from wm_training.suites import SUITES, RouteTask, scenario_task, suite_tasks

DEFAULT_TOWN = "test01"


@dataclass(frozen=True)
class Args(WorldOptions):
    """Drive a suite of routes in process and score it."""

    suite: str | None = None
    """Named suite; see the list in docs/evaluation.md. Replaces --town ... --scenario."""
    town: str | None = None
    """Town to drive in when no suite is named; test01, or those of the scenario."""
    routes: int = 3
    """Number of routes, or of runs of the scenario."""
    seed: int = 0
    """Seed of traffic and planner."""
    time_limit_s: float = TIME_LIMIT_S
    """Simulated seconds after which a route ends as "timeout"."""
    driver: str = "planner"
    """planner, actor (the behaviour learned in the model, no search), blind (knows only its own
    motion), untrained (random weights) or expert."""
    model: str = DEFAULT_MODEL
    """Model directory, or the name of a shipped model."""
    planner: Path | None = None
    """Planner parameter file (default: config/planner.yaml)."""
    processes: int = 2
    """Simulators run at once."""
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """Write the machine-readable report here."""


def tasks_of(args: Args) -> tuple[str, list[RouteTask]]:
    """(suite name, tasks) of the arguments.

    Raises:
        UserError: unknown suite or town.
    """
    if args.suite is not None:
        return args.suite, suite_tasks(args.suite, args.seed, args.time_limit_s)
    world = args.world
    if args.scenario and args.town is None:
        tasks = [
            scenario_task(world, args.traffic, args.seed, run, args.time_limit_s)
            for run in range(args.routes)
        ]
        return f"scenario-{args.scenario}-traffic{args.traffic}", tasks
    town = args.town or DEFAULT_TOWN
    load_town(town)
    task = RouteTask(town, 0, args.traffic, args.seed, args.time_limit_s, world)
    if args.scenario:
        task = replace(task, off_route_m=scenario_spec(args.scenario).off_route_m)
    tasks = [replace(task, route=route) for route in range(args.routes)]
    return f"{town}-traffic{args.traffic}{world_name(world)}", tasks


def world_name(world: World) -> str:
    """What is unlike an ordinary episode, as part of a name: ``-pedestrians20-weatherrain``."""
    changed = {f.name: getattr(world, f.name) for f in fields(World)}
    plain = World()
    return "".join(f"-{k}{v}" for k, v in changed.items() if v != getattr(plain, k))


def scenario_note(result: RouteResult) -> str:
    """What became of the route's scenario, for the line about it."""
    if result.scenario_success is None:
        return ""
    return f", {result.scenario}: {'mastered' if result.scenario_success else 'not mastered'}"


def main(args: Args) -> None:
    """Run the evaluation."""
    if args.driver not in DRIVERS:
        raise UserError(f"unknown driver '{args.driver}'; known drivers: {', '.join(DRIVERS)}")
    if args.suite is not None and args.suite not in SUITES:
        raise UserError(f"unknown suite '{args.suite}'; known suites: {', '.join(SUITES)}")
    console = make_console()
    suite, tasks = tasks_of(args)
    model = model_path(args.model) if args.driver != "expert" else None
    planner = load_config(args.planner or shared_dir("config") / "planner.yaml", PlannerConfig)
    done = 0

    def progress(drive) -> None:
        nonlocal done
        done += 1
        r = drive.result
        console.print(
            f"[{done}/{len(tasks)}] {r.town} route {r.route}: {r.outcome}, "
            f"{r.route_completion:.0f} % of {r.length_m:.0f} m, {r.red_lights} red lights"
            f"{scenario_note(r)}"
        )

    drives = evaluate(tasks, args.driver, model, planner, args.processes, progress)
    plan_ms = [ms for drive in drives for ms in drive.plan_ms]
    report = summarise(
        [d.result for d in drives], plan_ms, planner.deadline_ms,
        seed=args.seed, model=str(args.model), suite=suite, driver=args.driver,
    )  # fmt: skip
    console.print(route_table(drives, planner.deadline_ms, f"{args.driver} on {suite}"))
    print_summary(console, report["summary"])
    for name, (mastered, runs) in report["summary"]["scenarios"].items():
        console.print(f"  {name}: mastered {mastered} of {runs}")
    if args.json is not None:
        write_json(args.json, report)
        console.print(f"report: {args.json}")
