"""``wm train``: learn a world model from training stores."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_planner.paths import model_path
from wm_training.devices import Devices, Precision, first_process
from wm_training.model_choice import change_config, check_kind, kind_of, warm_start
from wm_training.sampler import Kind
from wm_training.store import Store
from wm_training.tb import TrainingLog
from wm_training.train_config import make_config
from wm_training.trainer import STATE_FILE, Trainer

# Options that are settings of the same name.
SETTINGS = (
    "size", "core", "latent", "inputs", "batch", "ego_steps", "seed", "learning_rate",
    "final_learning_rate", "warmup", "clip_kind", "clip", "adaptive_clip",
    "validate_every", "patience", "keep", "precision", "sampler",
)  # fmt: skip


@dataclass
class LossOptions:
    """What to change of the losses, see docs/training.md."""

    # Weight of the KL that moves the prior to the posterior (default 0.8) ...
    dynamics: float | None = None
    # ... and of the one that moves the posterior to the prior (default 0.1).
    representation: float | None = None
    # Below this many nats the KL teaches nothing (default 1).
    free_nats: float | None = None
    # Steps in which the KL comes to its weight, 0 (default) for at once.
    kl_anneal_steps: int | None = None
    # Weight of the reconstruction (default 24).
    reconstruction: float | None = None
    # Weight of the heads on what is seen (default 10) ...
    heads_now: float | None = None
    # ... and on what is imagined (default 12).
    heads_imagined: float | None = None
    # Weight of the pictures, per-pixel mean summed over colours (default 50).
    camera_reconstruction: float | None = None


@dataclass
class AugmentOptions:
    """How training windows are changed, see docs/training.md; 0 leaves a change out."""

    # Brightness, contrast and saturation of what cameras see, each by up to this (default 0.2).
    colour: float | None = None
    # A rectangle of what cameras see is covered, sides up to this share (default 0.25).
    cutout: float | None = None
    # What cameras see is shifted by up to so many pixels (default 2).
    shift_px: int | None = None
    # The vehicle stood up to this far beside its path (default 0; not with cameras) ...
    sideways_m: float | None = None
    # ... and turned by up to this (default 0).
    turn_rad: float | None = None


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
    # Start from this model's weights (another round with more data); with --set, from those that
    # both have.
    init: Path | None = None
    # Set fields of the model's configuration, FIELD=VALUE each.
    set: list[str] = field(default_factory=list)
    # Let only these parts of the model learn (forecast, encoder ...; default: all).
    learn: list[str] = field(default_factory=list)
    # Let these parts as they are (encoder after `wm train sight`, ego ...; default: none).
    freeze: list[str] = field(default_factory=list)
    # Model size: tiny, small (default), medium, large.
    size: str | None = None
    # What carries the belief on: gru (default), block_gru, transformer.
    core: str | None = None
    # Stochastic state: discrete (default), gaussian.
    latent: str | None = None
    # What the model sees, beside speed, steering and route: bev (default), camera, camera-resnet,
    # camera-vit, cameras-3, lidar, all.
    inputs: str | None = None
    # Hide each of these inputs in such a share of the windows (default 0; 0.2 for all).
    modality_dropout: float | None = None
    # How windows are drawn: mixture (default), uniform, prioritised, event.
    sampler: Kind | None = None
    # Windows per step (default 16).
    batch: int | None = None
    # Optimiser steps of the ego-dynamics phase (default 2200).
    ego_steps: int | None = None
    # Seed of weights and windows (default 0).
    seed: int | None = None
    # Highest learning rate (default 1e-3), reached in `warmup` steps, then a cosine ...
    learning_rate: float | None = None
    # ... which ends at this fraction of it (default 0.05).
    final_learning_rate: float | None = None
    # Steps of linear warm-up (default 100).
    warmup: int | None = None
    # Gradient clipping: by the norm of all gradients together (default), or adaptive, each
    # weight's by its own size.
    clip_kind: Literal["norm", "adaptive"] | None = None
    # Bound of clipping by norm (default 20).
    clip: float | None = None
    # Bound of adaptive clipping, share of the weight's norm (default 0.3).
    adaptive_clip: float | None = None
    # Arithmetic of the world model: bf16 autocast (default), float32, or fp16 (GPUs only).
    precision: Precision | None = None
    # Steps between two measurements on the held-out stores (default: at each save, 2 minutes).
    validate_every: int | None = None
    # End after this many measurements without a lower held-out loss (default: never).
    patience: int | None = None
    # Best checkpoints by held-out loss to keep beside the latest (default 1).
    keep: int | None = None
    # Weights and shape of the losses.
    loss: LossOptions = field(default_factory=LossOptions)
    # What is changed about the training windows.
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    # CPU threads. 2 are a third faster on an idle machine, and many times slower on a busy one.
    threads: int = 1
    # What to compute on: cpu, cuda (cuda:1 ...), or auto, a GPU where there is one.
    device: str = "cpu"
    # Processes that share each batch, a GPU each or all on the CPU.
    devices: int = 1
    # ddp: one process alone runs as one of several, too.
    strategy: Literal["auto", "ddp"] = "auto"


def make_trainer(args: Args, log: TrainingLog) -> Trainer:
    """The trainer that ``args`` ask for, new or resumed."""
    store = Store.open(*args.data)
    validation = Store.open(*args.val) if args.val else None
    devices = Devices(args.device, args.devices, args.strategy)
    shared: dict[str, Any] = {"validation": validation, "devices": devices}
    shared |= {"report": log, "show": log.show}
    budget = {"steps": args.steps, "minutes": args.minutes}
    budget = {key: value for key, value in budget.items() if value is not None}
    asked = asked_settings(args)
    if args.resume:
        return Trainer.resume(store, args.out, budget, asked, **shared)
    if (args.out / STATE_FILE).exists():
        raise UserError(f"{args.out} already holds a run; add --resume or choose another --out")
    start = None
    if args.init:
        old = load_checkpoint(model_path(args.init))
        check_kind(old.config, asked, f"the model {args.init}")
        begun = warm_start(
            change_config(old.config, asked.get("changes", ())), old, asked.get("seed", 0)
        )
        start = begun.model
        log.console.print(f"from {args.init}: {begun.account()}", soft_wrap=True)
        asked |= kind_of(start.config)
    config = make_config(asked | (budget or {"minutes": 15.0}))
    return Trainer(config, store, args.out, start=start, **shared)


def asked_settings(args: Args) -> dict[str, Any]:
    """The settings given on the command line, as ``TrainConfig`` names them."""
    asked = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    changes = list(args.set)
    if args.modality_dropout is not None:
        changes.append(f"modality_dropout={args.modality_dropout}")
    if changes:
        asked["changes"] = tuple(changes)
    if args.learn:
        asked["learn"] = tuple(args.learn)
    if args.freeze:
        asked["freeze"] = tuple(args.freeze)
    for part, options in (("loss", args.loss), ("augment", args.augment)):
        given = {name: value for name, value in vars(options).items() if value is not None}
        asked |= {part: given} if given else {}
    return asked


def main(args: Args) -> None:
    """Run the command."""
    torch.set_num_threads(args.threads)
    console = Console(quiet=not first_process())
    log = TrainingLog(args.out / "tensorboard", console)
    try:
        trainer = make_trainer(args, log)
        log.fraction = lambda: trainer.fraction
        log.first_step = trainer.step + 1 if args.resume else None
        store = trainer.store
        hours = store.frames * store.frame_dt / 3600.0
        console.print(f"{store.frames} frames, {len(store.bev)} episodes, {hours:.1f} h of driving")
        trainer.fit()
    except UserError:
        if first_process():
            raise
        sys.exit(2)  # the first process says it
    finally:
        log.close()
    state = "stopped, continue with --resume" if trainer.stop.made else "done"
    console.print(f"{state}: {trainer.step} steps, model in {args.out}", soft_wrap=True)
    if trainer.best.best is not None:
        console.print(f"lowest held-out loss: {trainer.best.best}", soft_wrap=True)
