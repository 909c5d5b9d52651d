"""``wm train``: learn a world model from training stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_training.store import Store
from wm_training.tb import TrainingLog
from wm_training.train_config import TrainConfig
from wm_training.trainer import STATE_FILE, Trainer


@dataclass
class Args:
    """Learn a world model from training stores; the result drives with `wm drive --model OUT`."""

    # Training stores (made by `wm dataset build`).
    data: list[Path]
    # Directory of the run; becomes the model directory.
    out: Path
    # Held-out stores to measure on.
    val: list[Path] = field(default_factory=list)
    # Budget in minutes of wall clock ...
    minutes: float | None = None
    # ... or in optimiser steps (reproducible).
    steps: int | None = None
    # Continue the run in OUT; a budget given replaces its total.
    resume: bool = False
    # Start from this model's weights (another round with more data).
    init: Path | None = None
    # Model size: tiny, small, medium, large.
    size: str = "small"
    # Windows per step.
    batch: int = 16
    # Optimiser steps of the ego-dynamics phase.
    ego_steps: int = 2200
    # Seed of weights and windows.
    seed: int = 0
    # CPU threads. 2 are a third faster on an idle machine, and many times slower on a busy one.
    threads: int = 1
    # Torch device.
    device: str = "cpu"


def make_trainer(args: Args, log: TrainingLog) -> Trainer:
    """The trainer that ``args`` ask for, new or resumed."""
    store = Store.open(*args.data)
    validation = Store.open(*args.val) if args.val else None
    shared: dict[str, Any] = {"validation": validation, "device": args.device, "report": log}
    budget = {"steps": args.steps, "minutes": args.minutes}
    budget = {key: value for key, value in budget.items() if value is not None}
    if args.resume:
        return Trainer.resume(store, args.out, budget, **shared)
    if (args.out / STATE_FILE).exists():
        raise UserError(f"{args.out} already holds a run; add --resume or choose another --out")
    config = TrainConfig(
        size=args.size,
        seed=args.seed,
        batch=args.batch,
        ego_steps=args.ego_steps,
        **(budget or {"minutes": 15.0}),
    )
    start = load_checkpoint(args.init) if args.init else None
    return Trainer(config, store, args.out, start=start, **shared)


def main(args: Args) -> None:
    """Run the command."""
    if not args.device.startswith("cpu") and not torch.cuda.is_available():
        raise UserError(f"device {args.device} is not available here; leave out --device")
    torch.set_num_threads(args.threads)
    console = Console()
    log = TrainingLog(args.out / "tensorboard", console)
    try:
        trainer = make_trainer(args, log)
        log.fraction = lambda: trainer.fraction
        store = trainer.store
        hours = store.frames * store.frame_dt / 3600.0
        console.print(f"{store.frames} frames, {len(store.bev)} episodes, {hours:.1f} h of driving")
        trainer.fit()
    finally:
        log.close()
    state = "stopped, continue with --resume" if trainer.stop_requested else "done"
    console.print(f"{state}: {trainer.step} steps, model in {args.out}")
