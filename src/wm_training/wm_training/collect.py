"""Training data straight from the embedded simulator: many imperfect drivers, many routes.

The fast way to a training store; ``wm record`` + ``wm dataset build`` is the way that also takes
real recordings. Both label frames with the same code.
"""

from __future__ import annotations

import multiprocessing
import queue
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from wm_training.labels import LabelledFrame, Labeller
from wm_training.perturbed import HABITS, PerturbedExpert
from wm_training.store import StoreWriter

MAX_FRAMES = 600  # 60 s: many short episodes are more varied than few long ones
FRAMES_AFTER_END = 6  # keep what a crash looks like from inside
TRAFFIC_LEVELS = (0, 10, 20, 35, 50)


@dataclass(frozen=True)
class CollectJob:
    """One town's share of the collection."""

    town: str
    frames: int
    seed: int
    out: Path
    frame_dt: float = 0.1


def episode_arrays(frames: list[LabelledFrame]) -> dict[str, np.ndarray]:
    """Columns of the training store for one episode."""
    return {
        "bev": np.stack([f.observation.bev for f in frames]),
        "state": np.stack([f.observation.state for f in frames]),
        "route": np.stack([f.observation.route for f in frames]),
        "command": np.array(
            [(f.observation.command.steer, f.observation.command.accel) for f in frames],
            np.float32,
        ),
        "motion": np.stack([f.motion for f in frames]).astype(np.float32),
        "labels": np.stack([f.labels for f in frames]),
    }


def drive_episode(simulator, scene, driver, frame_dt: float) -> list[LabelledFrame]:
    """Drive until the end of the route, a crash, or ``MAX_FRAMES``; labelled frames."""
    labeller = Labeller(scene, frame_dt)
    frame = simulator.frame()
    labelled = [labeller.label(frame)]
    left = MAX_FRAMES
    while left > 0:
        frame = simulator.step(driver.drive(frame))
        labelled.append(labeller.label(frame))
        left -= 1
        if labelled[-1].ended:
            left = min(left, FRAMES_AFTER_END)
        if labelled[-1].observation.on_route.s > scene.route.length_m - 10.0:
            break
    return labelled


def collect_town(job: CollectJob, report=lambda frames: None) -> None:
    """Fill one store with ``job.frames`` frames of one town."""
    from wm_sim.routes import load_router
    from wm_sim.simulator import Simulator

    name_seed = [ord(letter) for letter in job.town]
    rng = np.random.default_rng([job.seed, *name_seed])
    simulator = Simulator(job.town, frame_dt=job.frame_dt)
    router = load_router(job.town)
    habits, shares = list(HABITS.values()), np.array([h.share for h in HABITS.values()])
    collected = 0
    with StoreWriter(job.out, frame_dt=job.frame_dt) as writer:
        while collected < job.frames:
            habit = habits[rng.choice(len(habits), p=shares / shares.sum())]
            traffic = int(rng.choice(TRAFFIC_LEVELS))
            route = router.random_route(rng)
            scene = simulator.start(route, seed=int(rng.integers(1 << 30)), traffic=traffic)
            driver = PerturbedExpert(habit, rng, job.frame_dt)
            driver.reset(scene)
            labelled = drive_episode(simulator, scene, driver, job.frame_dt)
            writer.append_episode(episode_arrays(labelled), {"town": job.town, "traffic": traffic})
            collected += len(labelled)
            report(collected)
    simulator.close()


def _worker(job: CollectJob, reports: multiprocessing.Queue) -> None:
    collect_town(job, lambda frames: reports.put((job.town, frames)))
    reports.put((job.town, None))


def collect(jobs: list[CollectJob], processes: int = 2) -> None:
    """Run the jobs, ``processes`` at a time (SUMO is a process-wide singleton: one process each).

    Raises:
        RuntimeError: a worker died; finished episodes stay readable.
    """
    context = multiprocessing.get_context("spawn")
    reports: multiprocessing.Queue = context.Queue()
    waiting, running = list(jobs), {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, TimeRemainingColumn()) as progress:
        bars = {job.town: progress.add_task(job.town, total=job.frames) for job in jobs}
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    job = waiting.pop(0)
                    process = context.Process(target=_worker, args=(job, reports), daemon=True)
                    process.start()
                    running[job.town] = process
                try:
                    town, frames = reports.get(timeout=1.0)
                except queue.Empty:
                    dead = [t for t, p in running.items() if p.exitcode not in (None, 0)]
                    if dead:
                        raise RuntimeError(f"collection of {dead[0]} stopped, see above") from None
                    continue
                if frames is None:
                    running.pop(town).join()
                else:
                    progress.update(bars[town], completed=frames)
        finally:
            for process in running.values():
                process.terminate()
