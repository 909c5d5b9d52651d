"""``wm calibrate``: teach a trained model what usual driving looks like to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.novelty_file import FILE, save_novelty
from wm_planner.paths import model_path
from wm_training.novelty_data import WINDOWS, measure_novelty
from wm_training.store import Store


@dataclass
class Args:
    """Measure what usual driving looks like to a model; writes novelty.safetensors beside it."""

    # Model directory or name of a shipped model.
    model: Path
    # Training stores of the towns it was trained in.
    data: list[Path]
    # Windows of 10 s to look at.
    windows: int = WINDOWS
    # Seed of their choice.
    seed: int = 0
    # CPU threads.
    threads: int = 1


def main(args: Args) -> None:
    """Run the command."""
    if args.windows < 1:
        raise UserError("--windows must be at least 1")
    torch.set_num_threads(args.threads)
    path = model_path(args.model)
    model = load_checkpoint(path)
    novelty = measure_novelty(model, Store.open(*args.data), args.windows, args.seed)
    save_novelty(novelty, path, model.metadata["weights_sha256"])
    Console().print(
        f"{path / FILE}: scores above {novelty.threshold:.2f} are unusual "
        f"({novelty.facts['false_alarms']:.0%} of usual steps, {novelty.facts['steps']} measured)",
        soft_wrap=True,
    )
