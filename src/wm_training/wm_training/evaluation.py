"""Closed-loop evaluation in process: the driver's and the simulator's own objects, no ROS."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path

from wm_dynamics.errors import UserError
from wm_planner.planner_config import PlannerConfig
from wm_training.drivers import Driver, make_driver, simulator_camera
from wm_training.scoring import RouteResult, RouteScorer
from wm_training.suites import RouteTask


@dataclass(frozen=True)
class Drive:
    """One evaluated route: the result, and the wall time of every plan, ms."""

    result: RouteResult
    plan_ms: list[float]


@dataclass(frozen=True)
class EvalJob:
    """What one evaluation process needs to know; the tasks with their numbers, of one town."""

    driver: str
    model: Path | None
    planner: PlannerConfig
    tasks: tuple[tuple[int, RouteTask], ...]


def drive_route(simulator, driver: Driver, task: RouteTask, watch: Callable | None = None) -> Drive:
    """Drive one route to its end.

    Args:
        simulator: a ``wm_sim.simulator.Simulator`` of the task's town.
        driver: who drives.
        task: the route.
        watch: called with (scene, frame, driver, scorer) after every command.
    """
    scene = simulator.start_route(
        task.route, task.seed, task.traffic, task.route_suite, world=task.world
    )
    driver.reset(scene, task.seed)
    scorer = RouteScorer(scene, task.time_limit_s, task.off_route_m)
    plan_ms: list[float] = []
    frame = simulator.frame()
    told = False
    while scorer.update(frame) is None:
        if task.scenario and not told and simulator.scenario.status == "running":
            told = True
            show_bay(driver, simulator.scenario.bay(scene))
        command = driver.drive(frame)
        plan = getattr(driver, "plan", None)
        if plan is not None:
            plan_ms.append(plan.plan_ms)
        if watch is not None:
            watch(scene, frame, driver, scorer)
        frame = simulator.step(command)
    mastered = simulator.scenario.status == "success" if task.scenario else None
    return Drive(scorer.result(task.town, task.route, task.scenario, mastered), plan_ms)


def show_bay(driver: Driver, bay) -> None:
    """Tell a driver that can park where to: no frame shows it."""
    park = getattr(driver, "park", None)
    if park is not None and bay is not None:
        park(bay)


def run_job(job: EvalJob, report: Callable[[tuple[int, Drive]], None]) -> None:
    """Drive all tasks of a job, which share one town; report each with its number."""
    import torch

    from wm_sim.simulator import Simulator

    torch.set_num_threads(1)
    driver = make_driver(job.driver, job.model, job.planner)
    simulator = Simulator(
        job.tasks[0][1].town, frame_dt=job.planner.frame_dt, camera=simulator_camera(driver)
    )
    for number, task in job.tasks:
        report((number, drive_route(simulator, driver, task)))
    simulator.close()


def share_tasks(tasks: list[RouteTask], processes: int) -> list[tuple[tuple[int, RouteTask], ...]]:
    """Numbered tasks, town by town; the longest lists are halved until every process has one."""
    towns = dict.fromkeys(task.town for task in tasks)
    numbered = list(enumerate(tasks))
    parts = [tuple(item for item in numbered if item[1].town == town) for town in towns]
    while len(parts) < min(processes, len(tasks)):
        longest = max(range(len(parts)), key=lambda i: len(parts[i]))
        part = parts.pop(longest)
        middle = (len(part) + 1) // 2
        parts += [part[:middle], part[middle:]]
    return parts


def _worker(job: EvalJob, reports: multiprocessing.Queue) -> None:
    """Report every drive, then None; or what the user has to know."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # else Mesa starts a thread per core in each
    try:
        run_job(job, reports.put)
    except UserError as error:
        reports.put(error)
    else:
        reports.put(None)


def evaluate(
    tasks: list[RouteTask],
    driver: str,
    model: Path | None,
    planner: PlannerConfig,
    processes: int = 2,
    on_route: Callable[[Drive], None] = lambda drive: None,
) -> list[Drive]:
    """Drive all tasks; the drives come back in the tasks' order.

    A process drives in one town; towns are shared where there are more processes than towns.

    Raises:
        UserError: a model cannot be loaded, or there is no such route.
        RuntimeError: a worker died.
    """
    parts = share_tasks(tasks, processes)
    jobs = [EvalJob(driver, model, planner, part) for part in parts]
    context = multiprocessing.get_context("spawn")
    reports: multiprocessing.Queue = context.Queue()
    running: list[SpawnProcess] = []
    drives: dict[int, Drive] = {}
    finished = 0
    try:
        while finished < len(parts):
            while jobs and len(running) - finished < processes:
                process = context.Process(target=_worker, args=(jobs.pop(0), reports), daemon=True)
                process.start()
                running.append(process)
            try:
                report: tuple[int, Drive] | UserError | None = reports.get(timeout=1.0)
            except queue.Empty:
                if any(p.exitcode not in (None, 0) for p in running):
                    raise RuntimeError("an evaluation process stopped, see above") from None
                continue
            if isinstance(report, UserError):
                raise report
            if report is None:
                finished += 1
            else:
                number, drive = report
                drives[number] = drive
                on_route(drive)
    finally:
        for process in running:
            process.terminate()
    return [drives[number] for number in sorted(drives)]
