"""What a precision of the engine costs: the chosen action, beside what another seed chooses.

    python benchmarks/engine_precision.py --json runs/engine_precision.json

The shipped model drives a validation town in process, planned by the engine in float32. Every so
many frames the same frame is planned afresh by each runtime with the same seed, and by float32
with another seed: the size of what chance alone does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from wm_dynamics.backends import make_backend_of
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.engine import instruction_sets
from wm_dynamics.imagine import FastImagination
from wm_dynamics.runtime_names import Precision
from wm_planner.driver import PlannerDriver
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig
from wm_sim.simulator import Simulator

SEED, OTHER_SEED = 0, 1


def planners() -> dict[str, Planner]:
    """One for each way to compute the same plan, and the one that draws other numbers."""
    path, config = model_path(DEFAULT_MODEL), PlannerConfig()

    def torch_backend(dtype: torch.dtype):
        model = load_checkpoint(path)
        model._fast = FastImagination(model, dtype)
        return make_backend_of(model, "torch")

    exact = make_backend_of(load_checkpoint(path))
    found = {
        "engine fp32": Planner(exact, config),
        "torch fp32": Planner(torch_backend(torch.float32), config),
        "torch bf16": Planner(torch_backend(torch.bfloat16), config),
        "engine fp32, another seed": Planner(exact, config),
    }
    precisions: tuple[Precision, ...] = ("bf16", "int8")
    for precision in precisions if "avx512_bf16" in instruction_sets() else precisions[1:]:
        quick = make_backend_of(load_checkpoint(path), precision=precision)
        found[f"engine {precision}"] = Planner(quick, config)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--town", default="val01")
    parser.add_argument("--traffic", type=int, default=30)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument(
        "--every", type=int, default=5, help="frames from one comparison to the next"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asked = planners()
    driver = PlannerDriver(make_backend_of(load_checkpoint(model_path(DEFAULT_MODEL))))
    simulator = Simulator(arguments.town)
    driver.reset(simulator.start_route(0, seed=SEED, traffic=arguments.traffic))
    commands: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    for i in range(arguments.frames):
        command = driver.drive(simulator.frame())
        seen, filtered = driver.observation, driver.filtered
        if i % arguments.every == 0 and seen is not None and filtered is not None:
            for name, planner in asked.items():
                planner.reset(OTHER_SEED if "another" in name else SEED)
                plan = planner.plan(filtered.latent, seen.state, seen.reference)
                commands[name].append((plan.command.steer, plan.command.accel))
        simulator.step(command)
    simulator.close()
    first = np.array(commands.pop("engine fp32"))
    result: dict = {"frames": len(first), "town": arguments.town}
    for name, values in commands.items():
        off = np.abs(np.array(values) - first)
        result[name] = {
            "steer_mean": float(off[:, 0].mean()),
            "steer_most": float(off[:, 0].max()),
            "accel_mean": float(off[:, 1].mean()),
            "accel_most": float(off[:, 1].max()),
            "same_share": float((off.max(1) < 1e-3).mean()),
        }
    text = json.dumps(result, indent=2)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
