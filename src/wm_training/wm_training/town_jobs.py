"""One job per town, several at a time, each in a process of its own, with a bar for each."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from wm_dynamics.errors import UserError

Report = Callable[[int], None]


class TownJob(Protocol):
    """What a job says about itself: its town, and how much there is to do."""

    @property
    def town(self) -> str:
        """Name, each once."""

    @property
    def total(self) -> int:
        """Units of work, as reported."""


def run_jobs(jobs: Sequence[TownJob], work: Callable[[Any, Report], None], processes: int) -> None:
    """Run the jobs, ``processes`` at a time (SUMO is a process-wide singleton: one process each).

    Args:
        jobs: what to do; they go to other processes.
        work: does one job and reports how much is done; a function of a module.
        processes: at once.

    Raises:
        UserError: a job cannot be done, as its work said.
        RuntimeError: a worker died; what it had finished stays.
    """
    context = multiprocessing.get_context("spawn")
    reports: multiprocessing.Queue = context.Queue()
    waiting = list(jobs)
    running: dict[str, SpawnProcess] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, TimeRemainingColumn()) as progress:
        bars = {job.town: progress.add_task(job.town, total=job.total) for job in jobs}
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    job = waiting.pop(0)
                    process = context.Process(
                        target=_worker, args=(work, job, reports), daemon=True
                    )
                    process.start()
                    running[job.town] = process
                try:
                    town, done = reports.get(timeout=1.0)
                except queue.Empty:
                    dead = [t for t, p in running.items() if p.exitcode not in (None, 0)]
                    if dead:
                        raise RuntimeError(f"the work on {dead[0]} stopped, see above") from None
                    continue
                if isinstance(done, UserError):
                    raise done
                if done is None:
                    running.pop(town).join()
                else:
                    progress.update(bars[town], completed=done)
        finally:
            for process in running.values():
                process.terminate()


def _worker(
    work: Callable[[Any, Report], None], job: TownJob, reports: multiprocessing.Queue
) -> None:
    """Report how much is done, at the end None; or what the user has to know."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # else Mesa starts a thread per core in each
    parent = multiprocessing.parent_process()

    def report(done: int) -> None:
        if parent is not None and not parent.is_alive():
            sys.exit("the command that started this work was killed")
        reports.put((job.town, done))

    try:
        work(job, report)
    except UserError as error:
        reports.put((job.town, error))
    else:
        reports.put((job.town, None))
