"""``wm train behavior``: learn to drive in the imagination of a trained world model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ValidationError
from rich.console import Console

from wm_dynamics.behavior_checkpoint import FOLDER
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_training.behavior_config import BehaviorTraining
from wm_training.behavior_rounds import FreshData
from wm_training.behavior_trainer import STATE_FILE, BehaviorTrainer
from wm_training.tb import TrainingLog

SHOWN = ("return", "value", "entropy", "critic_loss", "imagined_speed")
# Options that are settings of the same name, and where these are in ``BehaviorTraining``.
TRAINING = (
    "seed", "batch", "clone_steps", "learning_rate", "rounds", "fresh_frames"
)  # fmt: skip
LOSS = ("horizon", "starts", "discount", "trace", "gradient", "entropy", "clone_weight")
REWARD = ("source", "cruise_mps")


@dataclass
class RewardOptions:
    """What an imagined step is worth, see docs/behavior.md."""

    # Composed of predicted quantities at run time (default), or the reward head.
    source: Literal["composed", "head"] | None = None
    # Speed to aim for, m/s (default 8.3).
    cruise_mps: float | None = None
    # Weights to change, as NAME=VALUE (collision=40 red_light=20); 0 switches a term off.
    weights: list[str] = field(default_factory=list)


@dataclass
class Args:
    """Learn actor and critic in imagination; drive them with `wm eval --driver actor`."""

    # Training stores: what is imagined starts from their moments.
    data: list[Path]
    # World model: directory, or name of a shipped model. It stays as it is.
    model: str = DEFAULT_MODEL
    # Directory of the run; becomes the behavior directory (default: MODEL/behavior).
    out: Path | None = None
    # Budget in minutes of wall clock ...
    minutes: float | None = None
    # ... or in optimiser steps (reproducible).
    steps: int | None = None
    # Continue the run in OUT; a budget given replaces its total.
    resume: bool = False
    # Rounds of fresh data: the actor drives in the simulator, and learns from that too (default 0).
    rounds: int | None = None
    # Frames per town and round (default 4000).
    fresh_frames: int | None = None
    # Towns of the rounds.
    fresh_towns: tuple[str, ...] = ("train01", "train02")
    # Simulators run at once in a round.
    processes: int = 1
    # Seed of weights, windows and noise (default 0).
    seed: int | None = None
    # Windows per step (default 16) ...
    batch: int | None = None
    # ... moments of each that are imagined from (default 16) ...
    starts: int | None = None
    # ... and how many steps of 0.2 s far (default 15).
    horizon: int | None = None
    # Steps at the start in which the actor only imitates (default 300).
    clone_steps: int | None = None
    # Weight of imitating what went well, afterwards.
    clone_weight: float | None = None
    # Actor's gradient: through the dynamics (default), or REINFORCE as in DreamerV3.
    gradient: Literal["dynamics", "reinforce"] | None = None
    # Weight of the actor's entropy.
    entropy: float | None = None
    # Discount per step.
    discount: float | None = None
    # Lambda of the returns.
    trace: float | None = None
    # Highest learning rate, reached by a linear warm-up; then a cosine.
    learning_rate: float | None = None
    # What is good driving.
    reward: RewardOptions = field(default_factory=RewardOptions)
    # Arithmetic: bf16 autocast (default) or float32.
    precision: Literal["bf16", "float32"] | None = None
    # CPU threads.
    threads: int = 1
    # Torch device.
    device: str = "cpu"


def chosen(options: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the options ``names`` that were given."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def settings(args: Args) -> dict[str, Any]:
    """The settings given on the command line, as ``BehaviorTraining`` nests them.

    Raises:
        UserError: a weight that is not NAME=VALUE.
    """
    weights = {}
    for text in args.reward.weights:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--reward.weights {text}: write NAME=VALUE, for example collision=40")
        weights[name] = value
    asked = chosen(args, TRAINING)
    if args.precision is not None:
        asked["bf16"] = args.precision == "bf16"
    loss, reward = chosen(args, LOSS), chosen(args.reward, REWARD)
    if weights:
        reward["weights"] = weights
    if reward:
        loss["reward"] = reward
    return asked | ({"loss": loss} if loss else {})


def make_config(asked: dict[str, Any]) -> BehaviorTraining:
    """Validated settings.

    Raises:
        UserError: naming the setting and what is wrong with it.
    """
    try:
        return BehaviorTraining.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def check_same(config: BaseModel, asked: dict[str, Any], out: Path) -> None:
    """Refuse settings that are not those a run began with.

    Raises:
        UserError: naming the first that differs.
    """
    for name, value in asked.items():
        has = getattr(config, name)
        if isinstance(value, dict):
            check_same(has, value, out)
        elif has != type(has)(value):
            raise UserError(
                f"the run in {out} has {name} = {has}, asked for is {value}; a run goes on with "
                "the settings it began with, leave the option out"
            )


def make_trainer(args: Args, log: TrainingLog, out: Path) -> BehaviorTrainer:
    """The trainer that ``args`` ask for, new or resumed."""
    folder = model_path(args.model)
    model, asked = load_checkpoint(folder), settings(args)
    budget = chosen(args, ("steps", "minutes"))
    if not args.resume and (out / STATE_FILE).exists():
        raise UserError(f"{out} already holds a run; add --resume or choose another --out")
    begun = args.resume and BehaviorTrainer.begun_with(out)
    config = begun or make_config(asked | (budget or {"minutes": 12.0}))
    fresh = FreshData(
        args.data, folder, out, args.fresh_towns, config.fresh_frames, config.seed,
        processes=args.processes,
    )  # fmt: skip
    shared: dict[str, Any] = {"device": args.device, "report": log, "refresh": fresh.stores}
    if begun:
        check_same(begun, asked, out)
        return BehaviorTrainer.resume(model, out, fresh.stores, budget, **shared)
    return BehaviorTrainer(config, model, fresh.stores(0), out, **shared)


def main(args: Args) -> None:
    """Run the command."""
    if not args.device.startswith("cpu") and not torch.cuda.is_available():
        raise UserError(f"device {args.device} is not available here; leave out --device")
    torch.set_num_threads(args.threads)
    console = Console()
    out = args.out or model_path(args.model) / FOLDER
    log = TrainingLog(out / "tensorboard", console, SHOWN, "behavior")
    try:
        trainer = make_trainer(args, log, out)
        log.fraction = lambda: trainer.fraction
        log.first_step = trainer.step + 1 if args.resume else None
        console.print(
            f"{trainer.store.frames} frames, world model {args.model} ({trainer.model.hash})"
        )
        trainer.fit()
    finally:
        log.close()
    state = "stopped, continue with --resume" if trainer.stop.made else "done"
    console.print(f"{state}: {trainer.step} steps, behavior in {out}", soft_wrap=True)
