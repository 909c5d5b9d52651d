"""``wm train pilotnet``: behaviour cloning from camera stores, see docs/baselines.md."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_training.pilotnet import Inputs
from wm_training.pilotnet_data import Demonstrations
from wm_training.pilotnet_trainer import STATE_FILE, PilotNetTrainer, PilotNetTraining
from wm_training.tb import TrainingLog
from wm_training.train_state import read_facts

# Options that are settings of the same name.
SETTINGS = ("inputs", "seed", "batch", "bends", "learning_rate", "precision")


@dataclass
class Args:
    """Clone careful driving; the result drives with `wm eval --driver pilotnet --model OUT`."""

    # Camera stores: of lessons, or of careful drivers.
    data: list[Path]
    # Directory of the run; becomes the network's directory.
    out: Path
    # Held-out stores to measure the open-loop error on.
    val: list[Path] = field(default_factory=list)
    # What it sees beside the route: image, or image+speed (default).
    inputs: Inputs | None = None
    # Budget in minutes of wall clock (default 12) ...
    minutes: float | None = None
    # ... or in optimiser steps (reproducible).
    steps: int | None = None
    # Continue the run in OUT; a budget given replaces its total.
    resume: bool = False
    # Seed of weights and examples (default 0).
    seed: int | None = None
    # Examples per step (default 64).
    batch: int | None = None
    # Share of a batch in which the command steers (default 0.4).
    bends: float | None = None
    # Highest learning rate (default 1e-3), reached in 100 steps, then a cosine.
    learning_rate: float | None = None
    # Arithmetic: bf16 autocast (default), or float32.
    precision: Literal["bf16", "float32"] | None = None
    # CPU threads.
    threads: int = 1


def make_trainer(args: Args, log: TrainingLog) -> PilotNetTrainer:
    """The trainer that ``args`` ask for, new or resumed.

    Raises:
        UserError: a setting that cannot be, a run where none or another should be.
    """
    asked: dict[str, Any] = {
        name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None
    }
    budget = {"steps": args.steps, "minutes": args.minutes}
    budget = {key: value for key, value in budget.items() if value is not None}
    state = args.out / STATE_FILE
    if args.resume:
        begun = read_facts(state)["config"]
        for name, value in asked.items():
            if begun[name] != value:
                raise UserError(
                    f"the run in {args.out} has {name} = {begun[name]}, asked for is {value}; a "
                    "run goes on with the settings it began with, leave the option out"
                )
    elif state.exists():
        raise UserError(f"{args.out} already holds a run; add --resume or choose another --out")
    else:
        config = _config(asked | (budget or {"minutes": 12.0}))
    data = Demonstrations.open(args.data)
    shared: dict[str, Any] = {
        "validation": Demonstrations.open(args.val) if args.val else None, "report": log,
        "command": shlex.join(["wm", *sys.argv[1:]]),
    }  # fmt: skip
    if args.resume:
        return PilotNetTrainer.resume(data, args.out, budget, **shared)
    return PilotNetTrainer(config, data, args.out, **shared)


def _config(asked: dict[str, Any]) -> PilotNetTraining:
    try:
        return PilotNetTraining.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        option = "-".join(map(str, first["loc"])).replace("_", "-")
        raise UserError(f"--{option} {first['input']}: {first['msg']}") from None


def main(args: Args) -> None:
    """Run the command."""
    torch.set_num_threads(args.threads)
    console = Console()
    log = TrainingLog(args.out / "tensorboard", console, ("loss",), "pilotnet")
    try:
        trainer = make_trainer(args, log)
        log.fraction = lambda: trainer.fraction
        log.first_step = trainer.step + 1 if args.resume else None
        console.print(f"{len(trainer.data)} examples of careful driving")
        trainer.fit()
    finally:
        log.close()
    state = "stopped, continue with --resume" if trainer.stop.made else "done"
    console.print(f"{state}: {trainer.step} steps, network in {args.out}", soft_wrap=True)
    if trainer.kept:
        now = trainer.kept
        console.print(
            f"open-loop error on held-out drives: steer {now['mse_steer']:.4f}, accel "
            f"{now['mse_accel']:.4f} (always the mean command: {now['mean_mse_steer']:.4f}, "
            f"{now['mean_mse_accel']:.4f})",
            soft_wrap=True,
        )
