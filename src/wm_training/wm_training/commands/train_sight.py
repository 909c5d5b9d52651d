"""``wm train sight``: teach an encoder to see, one moment at a time, before `wm train`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_planner.paths import model_path
from wm_training.model_choice import change_config, choose_model, fresh_model, warm_start
from wm_training.sight_trainer import STATE_FILE, SightTrainer, SightTraining
from wm_training.store import Store
from wm_training.tb import TrainingLog
from wm_training.train_config import make_config

SHOWN = ("loss", "recon_loss", "frames_per_s")
SETTINGS = ("seed", "batch", "learning_rate", "weight_decay")  # options of the same name


@dataclass
class Args:
    """Teach an encoder to see; go on with `wm train --init OUT --freeze encoder`."""

    # Training stores.
    data: list[Path]
    # Directory of the run; becomes a model directory.
    out: Path
    # Held-out stores to measure on.
    val: list[Path] = field(default_factory=list)
    # Budget in minutes of wall clock ...
    minutes: float | None = None
    # ... or in optimiser steps (reproducible).
    steps: int | None = None
    # Continue the run in OUT; a budget given replaces its total.
    resume: bool = False
    # Model whose other parts to keep; with --set, those that both have.
    init: Path | None = None
    # Set fields of the model's configuration, FIELD=VALUE each.
    set: list[str] = field(default_factory=list)
    # What the model sees when there is no --init: bev, camera, camera-vit, ... (default camera).
    inputs: str = "camera"
    # Moments per step (default 96).
    batch: int | None = None
    # Seed of weights and moments (default 0).
    seed: int | None = None
    # Highest learning rate (default 1e-3).
    learning_rate: float | None = None
    # Weight decay (default 0.02).
    weight_decay: float | None = None
    # CPU threads.
    threads: int = 1


def start_model(args: Args, store: Store) -> tuple[WorldModel, str]:
    """The model whose encoder learns, and what became of the weights it starts from."""
    seed = args.seed or 0
    if args.init is None:
        kind = make_config({"inputs": args.inputs, "changes": tuple(args.set), "steps": 1})
        return fresh_model(choose_model(kind, store), seed, store), "random weights"
    old = load_checkpoint(model_path(args.init))
    begun = warm_start(change_config(old.config, args.set), old, seed)
    return begun.model, f"from {args.init}: {begun.account()}"


def make_trainer(args: Args, log: TrainingLog) -> SightTrainer:
    """The trainer that ``args`` ask for, new or resumed."""
    store = Store.open(*args.data)
    validation = Store.open(*args.val) if args.val else None
    shared: dict[str, Any] = {"validation": validation, "report": log}
    given = {name: getattr(args, name) for name in ("steps", "minutes")}
    budget = {name: value for name, value in given.items() if value is not None}
    if args.resume:
        return SightTrainer.resume(store, args.out, budget, **shared)
    if (args.out / STATE_FILE).exists():
        raise UserError(f"{args.out} already holds a run; add --resume or choose another --out")
    model, account = start_model(args, store)
    log.console.print(account, soft_wrap=True)
    asked = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    config = SightTraining.model_validate(asked | (budget or {"minutes": 15.0}))
    return SightTrainer(config, model, store, args.out, **shared)


def main(args: Args) -> None:
    """Run the command."""
    torch.set_num_threads(args.threads)
    console = Console()
    log = TrainingLog(args.out / "tensorboard", console, SHOWN, "sight")
    try:
        trainer = make_trainer(args, log)
        log.fraction = lambda: trainer.fraction
        log.first_step = trainer.step + 1 if args.resume else None
        console.print(f"{trainer.store.frames} frames, {len(trainer.store.bev)} episodes")
        trainer.fit()
    finally:
        log.close()
    state = "stopped, continue with --resume" if trainer.stop.made else "done"
    console.print(f"{state}: {trainer.step} steps, model in {args.out}", soft_wrap=True)
