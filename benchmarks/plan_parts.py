"""Where a plan's time goes: ``python benchmarks/plan_parts.py``.

Whole planning cycles of the shipped model by the default parameters; CPU milliseconds of one thread
(``time.thread_time``) in each part, medians over cycles. What is not named is Python between them.
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
from wm_planner import costs, judge, optimiser
from wm_planner.icem import Icem
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig

STATE = np.array([0.5, 0.0, 0.0, 0.0, 0.0], np.float32)
WARM_UP = 20


class Stopwatch:
    """CPU time in functions that are called from elsewhere.

    Attributes:
        spent: part -> ms since it was last cleared.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def watch(self, part: str, function: Callable) -> Callable:
        """The function, its time counted under ``part``."""

        def timed(*given: Any, **named: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                took = 1e3 * (time.thread_time() - start)
                self.spent[part] = self.spent.get(part, 0.0) + took

        return timed


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--cycles", type=int, default=200)
    arguments = parser.parse_args()
    limit_threads(1)
    weights = read_weights(model_path(DEFAULT_MODEL))
    backend: Any = make_backend_of(weights, precision=arguments.precision)
    ahead = np.arange(51.0)
    reference = np.stack([ahead, np.zeros_like(ahead)], -1)
    clock = Stopwatch()
    watched: tuple[tuple[str, Any, str], ...] = (
        ("rollouts", backend, "imagine"),
        ("rollouts", backend, "imagine_members"),
        ("offsets from the route", judge, "against_route"),
        ("cost terms", costs, "total"),
        ("noise", optimiser, "colored_noise"),
        ("elites, mean and deviation", Icem, "tell"),
    )
    for part, owner, name in watched:
        patch.object(owner, name, clock.watch(part, getattr(owner, name))).start()
    planner = Planner(backend, PlannerConfig())
    rows: list[dict[str, float]] = []
    for _ in range(WARM_UP + arguments.cycles):
        clock.spent = {}
        start = time.thread_time()
        planner.plan(backend.initial(), STATE, reference)
        rows.append({"plan": 1e3 * (time.thread_time() - start), **clock.spent})
    patch.stopall()
    kept = rows[WARM_UP:]
    median = {part: float(np.median([row[part] for row in kept])) for part in kept[0]}
    median["the rest"] = 2 * median["plan"] - sum(median.values())
    report = {"engine": backend.name, "cpu_ms": {k: round(v, 3) for k, v in median.items()}}
    text = json.dumps(report, indent=2)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
