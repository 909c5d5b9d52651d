"""Where a plan's time goes, by numpy and by C++: ``python benchmarks/plan_parts.py``.

Whole planning cycles of the shipped model by the default parameters; CPU milliseconds of one thread
(``time.thread_time``) in each part, medians over cycles. Two planners take turns, cycle by cycle:
one calculates what is around the rollouts in numpy, one in C++; both imagine by the engine, and
plan the same. What is not named is Python between the parts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from wm_dynamics.backends import make_backend_of
from wm_dynamics.threads import limit_threads
from wm_dynamics.weights import read_weights
from wm_planner.arithmetic_cpp import CppArithmetic
from wm_planner.arithmetic_numpy import NumpyArithmetic
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig

STATE = np.array([0.5, 0.0, 0.0, 0.0, 0.0], np.float32)
WARM_UP = 20
PARTS = {
    "noise and sequences": ("sample",),
    "costs": ("score",),
    "update": ("narrow", "average"),
}


class Stopwatch:
    """CPU time in functions that are called from elsewhere.

    Attributes:
        spent: part -> ms since it was last cleared.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def watch(self, part: str, owner: Any, name: str) -> None:
        """Count the time of ``owner.name`` under ``part`` from now on."""
        function: Callable = getattr(owner, name)

        def timed(*given: Any, **named: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                took = 1e3 * (time.thread_time() - start)
                self.spent[part] = self.spent.get(part, 0.0) + took

        patch.object(owner, name, timed).start()


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each part, and of what no part is."""
    rest = [{**row, "the rest": 2 * row["plan"] - sum(row.values())} for row in rows]
    return {part: round(float(np.median([row[part] for row in rest])), 3) for part in rest[0]}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--optimiser", default="icem")
    parser.add_argument("--cycles", type=int, default=200)
    arguments = parser.parse_args()
    limit_threads(1)
    weights = read_weights(model_path(DEFAULT_MODEL))
    backend: Any = make_backend_of(weights, precision=arguments.precision)
    ahead = np.arange(51.0)
    reference = np.stack([ahead, np.zeros_like(ahead)], -1)
    clock = Stopwatch()
    for name in ("imagine", "imagine_members"):
        clock.watch("rollouts", backend, name)
    config = PlannerConfig(optimiser=arguments.optimiser)
    planners, rows = {}, {}
    for arithmetic in (NumpyArithmetic(), CppArithmetic()):
        for part, names in PARTS.items():
            for name in names:
                clock.watch(part, arithmetic, name)
        planners[arithmetic.name] = Planner(backend, config, arithmetic=arithmetic)
        rows[arithmetic.name] = []
    for _ in range(WARM_UP + arguments.cycles):
        for kind, planner in planners.items():
            clock.spent = {}
            start = time.thread_time()
            planner.plan(backend.initial(), STATE, reference)
            rows[kind].append({"plan": 1e3 * (time.thread_time() - start), **clock.spent})
    patch.stopall()
    kept = {kind: found[WARM_UP:] for kind, found in rows.items()}
    around = {
        kind: [row["plan"] - row["rollouts"] for row in found] for kind, found in kept.items()
    }
    pairs = np.subtract(around["numpy"], around["cpp"])
    report = {
        "engine": backend.name,
        "optimiser": arguments.optimiser,
        "cpu_ms": {kind: medians(found) for kind, found in kept.items()},
        "around the rollouts, numpy less cpp, median of pairs": round(float(np.median(pairs)), 3),
    }
    text = json.dumps(report, indent=2)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
