"""One driver on a list of routes, with what is finished kept in a file, and a progress bar."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wm_training.eval_processes import evaluate
from wm_training.evaluation import Drive, DriverSpec
from wm_training.finished_routes import FinishedRoutes
from wm_training.scoring import RouteResult
from wm_training.suites import RouteTask
from wm_training.summary import summarise


@dataclass(frozen=True)
class EvalRun:
    """What is asked for.

    Attributes:
        suite: name of the list of routes.
        tasks: the routes.
        driver: who drives.
        processes: at once.
        videos: folder for videos of failures, or None.
        about: of the summary: seed, settings ...
    """

    suite: str
    tasks: list[RouteTask]
    driver: DriverSpec
    processes: int
    videos: Path | None
    about: dict[str, Any]

    def asked(self) -> dict[str, Any]:
        """What determines the results, JSON-compatible."""
        rows = json.dumps([asdict(task) for task in self.tasks])
        driver = self.driver
        return {
            "suite": self.suite,
            "routes": len(self.tasks),
            "tasks": hashlib.sha256(rows.encode()).hexdigest()[:16],
            "driver": driver.name,
            "model": model_hash(driver.model),
            "gate": driver.guarded,
            "view": driver.view,
            "planner": driver.planner.model_dump(mode="json"),
        }

    def drive(self, console: Console, keep: Path | None) -> tuple[dict[str, Any], list[Drive]]:
        """Drive what is left to drive, and sum up: (report, drives).

        Args:
            console: shows how it goes.
            keep: file of finished routes, which the caller removes once the report is written; None
                keeps nothing.

        Raises:
            UserError: the file is another run's, or the driver cannot be made.
        """
        finished = FinishedRoutes(keep, self.asked()) if keep else None
        done = dict(finished.drives) if finished else {}
        if done:
            console.print(f"{len(done)} of {len(self.tasks)} routes were finished before")
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        try:
            with Progress(*columns, console=console) as progress:
                title, total = f"{self.driver.name} on {self.suite}", len(self.tasks)
                bar = progress.add_task(title, total=total, completed=len(done))

                def on_route(number: int, drive: Drive) -> None:
                    if finished:
                        finished.add(number, drive)
                    progress.advance(bar)
                    place = f"[{progress.tasks[0].completed:.0f}/{total}]"
                    console.print(f"{place} {route_line(drive.result)}", markup=False)

                drives = evaluate(
                    self.tasks, self.driver, self.processes, on_route, done, self.videos,
                    console.print,
                )  # fmt: skip
        except (KeyboardInterrupt, RuntimeError):
            if keep:
                console.print(f"what is finished is in {keep}: the same command goes on from there")
            raise
        finally:
            if finished:
                finished.close()
        report = summarise(
            [d.result for d in drives], [ms for d in drives for ms in d.plan_ms],
            self.driver.planner.deadline_ms, suite=self.suite, driver=self.driver.name,
            gate=self.driver.guarded, view=self.driver.view, **self.about,
        )  # fmt: skip
        return report, drives


def route_line(result: RouteResult) -> str:
    """What became of one route."""
    notes = [f"{result.route_completion:.0f} % of {result.length_m:.0f} m"]
    if result.red_lights:
        notes.append(f"{result.red_lights} red lights")
    if result.fault:
        notes.append(result.fault)
    if result.scenario_success is not None:
        mastered = "mastered" if result.scenario_success else "not mastered"
        notes.append(f"{result.scenario}: {mastered}")
    where = f"{result.town} route {result.route} seed {result.seed}"
    return f"{where}: {result.outcome}, {', '.join(notes)}"


def model_hash(model: Path | None) -> str:
    """Of everything in a model's directory that decides what it does; empty without a model."""
    if model is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted(model.rglob("*")):
        if path.suffix == ".safetensors" or path.name == "config.yaml":
            digest.update(str(path.relative_to(model)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
