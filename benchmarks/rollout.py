"""Imagined rollouts: the C++ engine beside torch, onnxruntime and OpenVINO.

    python benchmarks/rollout.py --json runs/rollout.json

Two workloads: 256 futures of 15 steps of a large model (five members 512 wide, 32 groups of 32
classes, sampled from the mixture of all members by given uniforms), and what the planner asks of
the shipped model in one frame. All runtimes take turns, round by round; medians of wall time, with
one and two threads, on the machine as it is and beside a process that keeps one core busy. What
fraction of the peak the engine reaches is measured in CPU time against a loop that only multiplies
and adds, in the same run. OpenVINO is compared where it is installed (pip install openvino).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from rollout_runtimes import (
    STATE,
    Run,
    Workload,
    large_model,
    make_workload,
    with_engine,
    with_onnxruntime,
    with_openvino,
    with_torch,
)

from wm_dynamics.backends import make_backend_of
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.engine import extension, instruction_sets
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig

ENGINE, TORCH, ORT = "engine fp32", "torch fp32", "onnxruntime fp32"
PLANNED = 110  # futures of the planner's first look in a frame: sampled, kept, and manoeuvres


@contextmanager
def competition() -> Iterator[None]:
    """A process that keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def turns(runs: Mapping[str, Run], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each, called in turn ``rounds`` times after one call to warm up."""
    for run in runs.values():
        run()
    wall: dict[str, list[float]] = {name: [] for name in runs}
    busy: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start, cpu = time.perf_counter(), time.process_time()
            run()
            wall[name].append(1e3 * (time.perf_counter() - start))
            busy[name].append(1e3 * (time.process_time() - cpu))
    return {
        name: {
            "ms": float(np.median(wall[name])),
            "ms_p99": float(np.quantile(wall[name], 0.99)),
            "cpu_ms": float(np.median(busy[name])),
            "cpu_ms_least": float(np.min(busy[name])),
        }
        for name in runs
    }


MAKERS: dict[str, Callable[[Workload, int], Run | None]] = {
    TORCH: with_torch,
    ORT: with_onnxruntime,
    "openvino fp32": with_openvino,
    "openvino bf16": partial(with_openvino, precision="bf16"),
    ENGINE: partial(with_engine, precision="fp32"),
    "engine bf16": partial(with_engine, precision="bf16"),
    "engine int8": partial(with_engine, precision="int8"),
}


def runtimes(work: Workload, threads: int, wanted: Collection[str]) -> dict[str, Run]:
    """Those that are there, by name."""
    made = {name: MAKERS[name](work, threads) for name in MAKERS if name in wanted}
    return {name: run for name, run in made.items() if run is not None}


def measure(
    work: Workload, threads: int, rounds: int, repeats: int, wanted: Collection[str]
) -> dict:
    """Every runtime idle, then the engine alone often enough for a p99, idle and contended.

    Without ``repeats`` idle is all.
    """
    runs = runtimes(work, threads, wanted)
    found: dict = {"idle": turns(runs, rounds)}
    if not repeats:
        return found
    engine = {ENGINE: runs[ENGINE]}
    alone = turns(engine, repeats)[ENGINE]
    with competition():
        contended = turns(engine, repeats)[ENGINE]
        found["contended"] = turns(runs, rounds)
    found["engine_p99"] = {"idle": alone["ms_p99"], "contended": contended["ms_p99"]}
    return found


def plan_ms(repeats: int) -> list[float]:
    """Wall time of whole planning cycles of the shipped model by the default parameters."""
    backend = make_backend_of(load_checkpoint(model_path(DEFAULT_MODEL)))
    planner = Planner(backend, PlannerConfig())
    ahead = np.arange(51.0)
    reference = np.stack([ahead, np.zeros_like(ahead)], -1)
    took = []
    for _ in range(repeats + 5):
        start = time.perf_counter()
        planner.plan(backend.initial(), STATE, reference)
        took.append(1e3 * (time.perf_counter() - start))
    return took[5:]


def fractions(work: Workload, idle: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Share of one thread's peak that the engine reaches, by precision."""
    found = {}
    for precision in ("fp32", "bf16", "int8"):
        name = f"engine {precision}"
        if name in idle:
            peak = extension().peak("auto", precision)
            found[precision] = work.flops / idle[name]["cpu_ms_least"] / 1e6 / peak
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=7, help="of all runtimes in turn")
    parser.add_argument("--repeats", type=int, default=60, help="of the engine alone, for its p99")
    parser.add_argument("--quick", action="store_true", help="one thread, idle, three rounds")
    parser.add_argument(
        "--runtimes",
        nargs="+",
        choices=MAKERS,
        default=list(MAKERS),
        help="the others are left out",
    )
    parser.add_argument(
        "--planners",
        type=Path,
        help="compare planners only; see rollout_planners.py",
    )
    arguments = parser.parse_args()
    if arguments.planners:
        write(side_by_side(arguments.planners, arguments.rounds), arguments.json)
        return
    wanted = {ENGINE, *arguments.runtimes}
    if arguments.quick:
        arguments.rounds, arguments.repeats = 3, 0
    threads = (1,) if arguments.quick else (1, 2)
    shipped = load_checkpoint(model_path(DEFAULT_MODEL))
    works = {
        "large": make_workload(large_model(), 256, 15, sampled=True),
        "shipped": make_workload(shipped, PLANNED, 15, sampled=False),
    }
    details: dict = {
        "machine": {
            "cpus": len(os.sched_getaffinity(0)),
            "processor": platform.processor() or platform.machine(),
            "instruction_sets": instruction_sets(),
            "load_before": os.getloadavg()[0],
        },
        "workloads": {},
    }
    for name, work in works.items():
        found = {f"{n} threads": measure(work, n, arguments.rounds, arguments.repeats, wanted)
                 for n in threads}  # fmt: skip
        one = found["1 threads"]["idle"]
        details["workloads"][name] = {**found, "fraction_of_peak": fractions(work, one)}
    plans = plan_ms(max(arguments.repeats, 30))
    summary = {**summarise(details["workloads"]), "plan_ms_p99_shipped": np.quantile(plans, 0.99)}
    write({**summary, **details}, arguments.json)


def side_by_side(folder: Path, rounds: int) -> dict:
    """Whole planners in turn, one thread: imagined steps per second of CPU time, medians."""
    from rollout_planners import planners

    made = planners(folder)
    took = turns({name: run for name, (run, _) in made.items()}, rounds)
    return {
        name: {
            "imagined_steps": steps,
            "cpu_ms": took[name]["cpu_ms"],
            "steps_per_cpu_s": 1e3 * steps / took[name]["cpu_ms"],
        }
        for name, (_, steps) in made.items()
    }


def write(report: dict, file: Path | None) -> None:
    """Print, and keep if asked to."""
    text = json.dumps(report, indent=2, default=float)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    print(text)


def summarise(workloads: Mapping[str, Mapping]) -> dict:
    """The figures that must hold, in the engine's fastest precision; float32's beside them."""
    quick = all("bf16" in found["fraction_of_peak"] for found in workloads.values())
    precision = "bf16" if quick else "fp32"
    tails = [
        part["engine_p99"]
        for found in workloads.values()
        for part in found.values()
        if "engine_p99" in part
    ]
    return {
        **speedups(workloads, precision),
        "p99_contended_over_idle": max((t["contended"] / t["idle"] for t in tails), default=None),
        "precision": precision,
        "in_fp32": speedups(workloads, "fp32"),
    }


def speedups(workloads: Mapping[str, Mapping], precision: str) -> dict[str, float | None]:
    """The least of the workloads, CPU time of one thread; torch and onnxruntime in float32."""

    def least(peer: str) -> float | None:
        idle = [found["1 threads"]["idle"] for found in workloads.values()]
        ours = f"engine {precision}"
        ratios = [row[peer]["cpu_ms"] / row[ours]["cpu_ms"] for row in idle if peer in row]
        return min(ratios, default=None)

    return {
        "speedup_vs_torch_eager": least(TORCH),
        "speedup_vs_onnxruntime": least(ORT),
        "speedup_vs_openvino": least(f"openvino {precision}"),
        "fraction_of_peak": min(w["fraction_of_peak"][precision] for w in workloads.values()),
    }


if __name__ == "__main__":
    main()
