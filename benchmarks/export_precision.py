"""What a precision of the imagined steps costs: errors against float32, and the chosen action.

Moments come from a training store. From each, the same futures are imagined and one plan is made
by each backend, all with the same seed; the last row is float32 with another seed of the planner,
the size of what chance alone does. onnxruntime has no bfloat16 on the CPU: that row is torch's.

    python benchmarks/export_precision.py data/v3/val01 --json runs/export_precision.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wm_dynamics.array_latent import ArrayLatent
from wm_dynamics.backend import TorchBackend
from wm_dynamics.backend_onnx import OnnxBackend
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.export.folder import open_export
from wm_dynamics.export.int8 import Quantiser, Situations
from wm_dynamics.export.write import write_export
from wm_dynamics.heads import HEADS
from wm_dynamics.imagine import FastImagination
from wm_dynamics.rollout import LatentState
from wm_dynamics.weights import read_weights
from wm_planner.paths import model_path
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig
from wm_training.export_situations import read_situations

CANDIDATES = 32
SEED, OTHER_SEED = 0, 1
AHEAD = np.arange(-5.0, 46.0)  # the reference line, m along the route
CRUISE = np.stack([AHEAD, np.zeros_like(AHEAD)], 1)  # straight on: one task for all moments


def torch_backend(model, dtype: torch.dtype) -> TorchBackend:
    """The model behind torch, its large products in ``dtype``."""
    backend = TorchBackend(load_checkpoint(model))
    backend.model._fast = FastImagination(backend.model, dtype)
    return backend


def belief(backend, moments: Situations, i: int):
    """Moment ``i`` as the backend holds it."""
    row = slice(i, i + 1)
    if isinstance(backend, OnnxBackend):
        return ArrayLatent(moments.deter[row], moments.stoch[row])
    return LatentState(*(torch.from_numpy(x[row]) for x in (moments.deter, moments.stoch)))


def arrays(futures) -> dict[str, np.ndarray]:
    """Last state and heads of imagined futures."""
    heads = np.stack([futures.heads[h.name] / h.scale for h in HEADS], -1)
    latent = futures.end.latent
    return {"deter": np.asarray(latent.deter), "stoch": np.asarray(latent.stoch), "heads": heads}


def measure(backend, moments: Situations, seed: int) -> list[dict[str, Any]]:
    """Of every moment: one step, a horizon, and the command of a plan."""
    rng = np.random.default_rng(SEED)
    found = []
    for i in range(len(moments.deter)):
        latent, state = belief(backend, moments, i), moments.ego_state[i]
        taken = moments.actions[i]
        noise = rng.normal(0.0, 0.3, (CANDIDATES, *taken.shape))
        tried = np.clip(taken + noise, -1, 1).astype(np.float32)
        planner = Planner(backend, PlannerConfig(seed=seed))
        plan = planner.plan(latent, state, CRUISE)
        found.append(
            {
                "one": arrays(backend.imagine(latent, state, tried[:, :1])),
                "all": arrays(backend.imagine(latent, state, tried)),
                "command": np.array([plan.command.steer, plan.command.accel]),
            }
        )
    return found


def compare(found: list[dict], exact: list[dict]) -> dict[str, float]:
    """Differences from float32, over all moments."""

    def each(part: str, name: str) -> np.ndarray:
        return np.stack(
            [np.abs(a[part][name] - b[part][name]) for a, b in zip(found, exact, strict=True)]
        )

    commands = np.stack(
        [np.abs(a["command"] - b["command"]) for a, b in zip(found, exact, strict=True)]
    )
    return {
        "one_step_deter_max": float(each("one", "deter").max()),
        "one_step_classes_changed": float((each("one", "stoch") > 0).mean()),
        "one_step_heads_mean": float(each("one", "heads").mean()),
        "horizon_futures_changed": float((each("all", "stoch") > 0).any(-1).mean()),
        "horizon_heads_mean": float(each("all", "heads").mean()),
        "command_steer_mean": float(commands[:, 0].mean()),
        "command_accel_mean": float(commands[:, 1].mean()),
        "commands_changed": float((commands.max(-1) > 1e-3).mean()),
        "commands_far": float((commands.max(-1) > 0.1).mean()),
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="training stores, not trained on")
    parser.add_argument("--calibrate", type=Path, nargs="+", help="other stores, for int8")
    parser.add_argument("--model", default="driving-bev")
    parser.add_argument("--moments", type=int, default=24)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = model_path(given.model)
    moments = read_situations(model, given.data, given.moments, SEED)
    calibration = read_situations(model, given.calibrate or given.data, 64, OTHER_SEED)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "export"
        quantiser = Quantiser(read_weights(model), calibration)
        write_export(model, out, ("fp32", "fp16", "int8"), quantiser)
        export = open_export(out)
        exact = measure(torch_backend(model, torch.float32), moments, SEED)
        rows = {
            "onnx fp32": measure(OnnxBackend(export), moments, SEED),
            "onnx fp16": measure(OnnxBackend(export, "fp16"), moments, SEED),
            "torch bf16": measure(torch_backend(model, torch.bfloat16), moments, SEED),
            "onnx int8": measure(OnnxBackend(export, "int8"), moments, SEED),
            "fp32, other seed": measure(OnnxBackend(export), moments, OTHER_SEED),
        }
    table = {name: compare(found, exact) for name, found in rows.items()}
    names = list(next(iter(table.values())))
    print("| | " + " | ".join(names) + " |\n|---" * 1 + "|---" * len(names) + "|")
    for name, row in table.items():
        print(f"| {name} | " + " | ".join(f"{row[key]:.2g}" for key in names) + " |")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"moments": given.moments, **table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
