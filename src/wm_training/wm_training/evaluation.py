"""Closed-loop evaluation in process: the driver's and the simulator's own objects, no ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from wm_dynamics.threads import limit_threads
from wm_perception.frame import Command
from wm_perception.sight import View
from wm_planner.planner_config import PlannerConfig
from wm_training.drivers import Driver, make_driver, simulator_camera
from wm_training.failure_video import DriveTail, is_failure, video_name
from wm_training.frame_faults import FrameFaults
from wm_training.scoring import RouteResult, RouteScorer
from wm_training.suites import RouteTask


@dataclass(frozen=True)
class Drive:
    """One evaluated route.

    Attributes:
        result: of the route.
        plan_ms: wall time of every plan.
        stages_ms: over ROS: between two stages on the way from sensor to command, for every frame,
            see :mod:`wm_training.latency_watch`.
    """

    result: RouteResult
    plan_ms: list[float]
    stages_ms: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class DriverSpec:
    """Who drives, as one process tells another.

    Attributes:
        name: of the driver.
        model: its directory; None for a driver without one.
        planner: parameters of the planner.
        guarded: the gate stands between the driver and the vehicle.
        view: what the masks show: "full", or "line_of_sight" of the ego.
    """

    name: str
    model: Path | None = None
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    guarded: bool = True
    view: View = "full"

    def make(self) -> Driver:
        """The driver.

        Raises:
            UserError: see :func:`wm_training.drivers.make_driver`.
        """
        return make_driver(self.name, self.model, self.planner, self.view, self.guarded)


@dataclass(frozen=True)
class EvalJob:
    """What one evaluation process needs to know; the tasks with their numbers, of one town."""

    driver: DriverSpec
    tasks: tuple[tuple[int, RouteTask], ...]
    videos: Path | None = None


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
    faults = FrameFaults(task.fault, task.seed)
    plan_ms: list[float] = []
    frame = simulator.frame()
    command, told = Command(), False
    while scorer.update(frame) is None:
        if task.scenario and not told and simulator.scenario.status == "running":
            told = True
            show_bay(driver, simulator.scenario.bay(scene))
        seen = faults.sense(frame)
        if seen is not None:
            command = driver.drive(seen)
            plan = getattr(driver, "plan", None)
            if plan is not None:
                plan_ms.append(plan.plan_ms)
        if watch is not None:
            watch(scene, frame, driver, scorer)
        frame = simulator.step(faults.act(command))
    mastered = simulator.scenario.status == "success" if task.scenario else None
    return Drive(task.judged(scorer, mastered), plan_ms)


def show_bay(driver: Driver, bay) -> None:
    """Tell a driver that can park where to: no frame shows it."""
    park = getattr(driver, "park", None)
    if park is not None and bay is not None:
        park(bay)


def run_job(job: EvalJob, report: Callable[[tuple[int, Drive]], None]) -> None:
    """Drive all tasks of a job, which share one town; report each with its number."""
    from wm_sim.simulator import Simulator

    driver, frame_dt = job.driver.make(), job.driver.planner.frame_dt
    limit_threads(1)
    simulator = Simulator(job.tasks[0][1].town, frame_dt=frame_dt, camera=simulator_camera(driver))
    for number, task in job.tasks:
        tail = DriveTail(frame_dt) if job.videos else None
        drive = drive_route(simulator, driver, task, tail.watch if tail else None)
        if tail and job.videos and is_failure(drive.result):
            path = job.videos / video_name(job.driver.name, drive.result, number)
            tail.save(path, simulator.frame(), drive.result)
            drive = replace(drive, result=replace(drive.result, video=str(path)))
        report((number, drive))
    simulator.close()
