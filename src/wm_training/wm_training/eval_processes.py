"""Evaluation in several processes at once, which goes on when one of them is killed."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import MappingProxyType

from wm_dynamics.errors import UserError
from wm_training.evaluation import Drive, DriverSpec, EvalJob, run_job
from wm_training.suites import RouteTask

LEAST_ROUTES = 4  # a process is seconds old before it drives; a route takes ten and more
PARTS_PER_PROCESS = 4


def evaluate(
    tasks: list[RouteTask],
    driver: DriverSpec,
    processes: int = 2,
    on_route: Callable[[int, Drive], None] = lambda number, drive: None,
    done: Mapping[int, Drive] = MappingProxyType({}),
    videos: Path | None = None,
    on_loss: Callable[[str], None] = lambda text: None,
) -> list[Drive]:
    """Drive all routes; one result per task, in their order.

    A process drives some routes of one town, then the next takes others: see :func:`share_tasks`.
    What one that was killed has not finished goes on in another, but for a route that kills two.

    Args:
        tasks: the routes.
        driver: who drives.
        processes: at once.
        on_route: called with each drive that ends, and the number of its task.
        done: drives of tasks that need not be driven again, by number.
        videos: folder for a video of how each failed drive ended; None for none.
        on_loss: told of a process that was killed, when its routes go on in another.

    Raises:
        UserError: a model cannot be loaded, or there is no such route.
        RuntimeError: a process failed, or a route killed two.
    """
    left = [(number, task) for number, task in enumerate(tasks) if number not in done]
    jobs = [EvalJob(driver, part, videos) for part in share_tasks(left, processes)]
    running: dict[Connection, tuple[SpawnProcess, EvalJob]] = {}
    drives = dict(done)
    lost_at: set[int] = set()  # tasks in which a process was killed
    try:
        while jobs or running:
            while jobs and len(running) < processes:
                job = jobs.pop(0)
                running.update([_start(job)])
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                try:
                    report: tuple[int, Drive] | UserError = connection.recv()
                except (EOFError, OSError):  # in the midst of a report, if it was killed then
                    process, job = running.pop(connection)
                    connection.close()
                    process.join()
                    rest = tuple(item for item in job.tasks if item[0] not in drives)
                    if rest:
                        number, task = rest[0]
                        _check_loss(process, number in lost_at, task)
                        lost_at.add(number)
                        on_loss(f"{_end_of(process)}; its {len(rest)} routes go on in another")
                        jobs.insert(0, replace(job, tasks=rest))
                    continue
                if isinstance(report, UserError):
                    raise report
                number, drive = report
                drives[number] = drive
                on_route(number, drive)
    finally:
        for process, _ in running.values():
            process.terminate()
    return [drives[number] for number in sorted(drives)]


def share_tasks(
    numbered: Sequence[tuple[int, RouteTask]], processes: int
) -> list[tuple[tuple[int, RouteTask], ...]]:
    """Numbered tasks in parts of one town each, the longest first.

    Towns take unequally long, and the last process to end decides: so there are more parts than
    processes, of :data:`LEAST_ROUTES` or more where that leaves none without work.
    """
    towns = dict.fromkeys(task.town for _, task in numbered)
    parts = [tuple(item for item in numbered if item[1].town == town) for town in towns]
    most = max(LEAST_ROUTES, len(numbered) // (PARTS_PER_PROCESS * processes))
    while processes > 1 and parts:
        longest = max(range(len(parts)), key=lambda i: len(parts[i]))
        part = parts[longest]
        if len(part) == 1 or (len(part) <= most and len(parts) >= processes):
            break
        middle = (len(part) + 1) // 2
        parts[longest : longest + 1] = part[:middle], part[middle:]
    return sorted(parts, key=len, reverse=True)


def _start(job: EvalJob) -> tuple[Connection, tuple[SpawnProcess, EvalJob]]:
    """A process for a job, and where it reports: the end of file there is the end of it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_worker, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    return ours, (process, job)


def _worker(job: EvalJob, reports: Connection) -> None:
    """Report every drive; or what the user has to know."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # else Mesa starts a thread per core in each

    def report(drive: tuple[int, Drive]) -> None:
        try:
            reports.send(drive)
        except BrokenPipeError:
            sys.exit("the command that started this evaluation was killed")

    try:
        run_job(job, report)
    except UserError as error:
        reports.send(error)


def _check_loss(process: SpawnProcess, again: bool, task: RouteTask) -> None:
    """Refuse to go on after a failure of our own, and where a route kills every process."""
    killed = process.exitcode is not None and process.exitcode < 0
    if again or not killed:
        raise RuntimeError(
            f"{_end_of(process)} in {task.town}, route {task.route}, seed {task.seed}; what it "
            "said is above"
        )


def _end_of(process: SpawnProcess) -> str:
    """How a process ended."""
    code = process.exitcode or 0
    return f"an evaluation process was killed by signal {-code}" if code < 0 else (
        f"an evaluation process failed with exit code {code}"
    )  # fmt: skip
