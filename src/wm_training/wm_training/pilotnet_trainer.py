"""Trains a PilotNet: resumable, seeded, measured on held-out drives."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from wm_dynamics.artefact import write_text
from wm_dynamics.errors import UserError
from wm_training.augmentation import change_pictures
from wm_training.optimiser import learning_rate
from wm_training.pilotnet import OUTPUTS, Inputs, PilotNet, PilotNetConfig, save_pilotnet
from wm_training.pilotnet_data import Batch, Demonstrations
from wm_training.stopping import StopRequest, spent
from wm_training.train_config import AugmentConfig
from wm_training.train_state import read_facts, restore_state, save_state

STATE_FILE, CURVE = "training.safetensors", "curve.json"
BEND = 0.1  # a command that steers more than this counts as a bend
MEASURE_BATCH = 256


class PilotNetTraining(BaseModel):
    """Settings of a run. The budget is ``steps`` (deterministic) or ``minutes`` (wall clock)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: Inputs = "image+speed"
    seed: int = 0
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    batch: int = Field(64, ge=2)
    # Share of a batch from bends: the paper, too, shows more of them than there are, or the net
    # learns to go straight.
    bends: float = Field(0.4, ge=0.0, le=1.0)
    learning_rate: float = Field(1e-3, gt=0.0)
    final_learning_rate: float = Field(0.05, ge=0.0, le=1.0)
    warmup: int = Field(100, ge=1)
    weight_decay: float = Field(1e-3, ge=0.0)
    clip_kind: str = "norm"
    clip: float = Field(5.0, gt=0.0)
    adaptive_clip: float = Field(0.3, gt=0.0)
    ema: float = Field(0.998, ge=0.0, lt=1.0)
    log_every: int = Field(50, ge=1)
    save_every_s: float = Field(60.0, gt=0.0)
    measure_every: int = Field(500, ge=1)  # steps
    precision: Literal["bf16", "float32"] = "bf16"  # by autocast; weights stay float32
    augment: AugmentConfig = AugmentConfig()


class PilotNetTrainer:
    """One training run.

    Args:
        config: settings.
        data: what to imitate.
        out: directory of the run; becomes the network's directory.
        validation: held-out drives to measure on, or None.
        report: called with a phase ("train", "validation"), the step and scalars.
        command: that began or continued the run, kept with the network.

    Attributes:
        step, elapsed_s: how far it is.
        stop: tells whether somebody asked it to stop.
        kept: measures on the held-out drives of the network kept so far, with its step.
    """

    def __init__(
        self,
        config: PilotNetTraining,
        data: Demonstrations,
        out: Path,
        validation: Demonstrations | None = None,
        report: Callable[[str, int, dict[str, float]], None] = lambda phase, step, scalars: None,
        command: str = "",
    ):
        self.config, self.data, self.out = config, data, out
        self.validation, self.report, self.command = validation, report, command
        torch.manual_seed(config.seed)
        height, width = data.pictures[0].shape[1:3]
        self.network = PilotNet(PilotNetConfig(inputs=config.inputs, height=height, width=width))
        self.ema = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.learned: list[torch.Tensor] = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(
            self.learned, config.learning_rate, weight_decay=config.weight_decay
        )
        # Errors count in units of the commands' own spread, so that neither output drowns.
        self._scale = torch.from_numpy(1.0 / data.commands.std(0).clip(0.01))
        self._bends = np.flatnonzero(abs(data.commands[:, 0]) > BEND)
        self.step, self.elapsed_s = 0, 0.0
        self.curve: list[dict[str, float]] = []
        self.kept: dict[str, float] = {}
        self.stop = StopRequest()

    @classmethod
    def resume(
        cls, data: Demonstrations, out: Path, budget: dict[str, Any], **kwargs: Any
    ) -> PilotNetTrainer:
        """Continue the run in ``out``.

        Args:
            data: the same as before.
            out: directory of the run.
            budget: {"steps": n} or {"minutes": m} to replace the saved total, or {}.
            kwargs: ``validation``, ``report`` and ``command``, as for a new run.

        Raises:
            UserError: nothing to resume, or other data.
        """
        facts = read_facts(out / STATE_FILE)
        if facts["data_hash"] != data.hash:
            raise UserError(
                f"{out} was trained on other data (hash {facts['data_hash']}, these stores "
                f"{data.hash}); give the same stores"
            )
        settings = facts["config"]
        if budget:
            settings |= {"steps": None, "minutes": None} | budget
        trainer = cls(PilotNetTraining.model_validate(settings), data, out, **kwargs)
        restore_state(out / STATE_FILE, trainer.network, trainer.ema, trainer.optimizer)
        trainer.step, trainer.elapsed_s = facts["step"], facts["elapsed_s"]
        trainer.curve, trainer.kept = facts["curve"], facts["kept"]
        return trainer

    @property
    def fraction(self) -> float:
        """Share of the budget spent, 0 to 1."""
        return spent(self.config.steps, self.config.minutes, self.step, self.elapsed_s)

    def fit(self, until: int | None = None) -> None:
        """Train to the end of the budget, to step ``until``, or to a Ctrl-C; measure and save."""
        self.out.mkdir(parents=True, exist_ok=True)
        saved, total = time.monotonic(), 0.0
        with self.stop.listening():
            while not (self.stop.made or self.fraction >= 1.0 or self.step == until):
                begin = time.monotonic()
                total += self.update()
                self.elapsed_s += time.monotonic() - begin
                if self.step % self.config.log_every == 0:
                    self._note("train", {"loss": total / self.config.log_every})
                    total = 0.0
                if self.step % self.config.measure_every == 0:
                    self._measure()
                if time.monotonic() - saved > self.config.save_every_s:
                    self.save()
                    saved = time.monotonic()
        self._measure()
        self.save()

    def update(self) -> float:
        """One optimiser step; returns the loss."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step, self.fraction)
        batch = self._draw()
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            answer = self._answer(self.network, batch)
        wished = torch.from_numpy(batch.commands)
        loss = (((answer.float() - wished) * self._scale) ** 2).mean()
        if not torch.isfinite(loss):
            raise UserError(
                f"training diverged: the loss is not finite at step {self.step}; {self.out} still "
                "holds the last save, continue from it with --resume"
            )
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learned, config.clip)
        self.optimizer.step()
        self.step += 1
        decay = min(config.ema, self.step / (self.step + 10))
        with torch.no_grad():
            averaged: list[torch.Tensor] = list(self.ema.parameters())
            torch._foreach_lerp_(averaged, self.learned, 1.0 - decay)
        return float(loss.detach())

    def _draw(self) -> Batch:
        """The next batch: a function of seed and step, so that a resumed run goes on exactly."""
        config = self.config
        draws = np.random.default_rng([config.seed, self.step])
        rows = draws.integers(len(self.data), size=config.batch)
        bends = round(config.bends * config.batch) if len(self._bends) else 0
        rows[:bends] = draws.choice(self._bends, bends) if bends else rows[:0]
        batch = self.data.batch(rows)
        changed = change_pictures(batch.pictures[:, None], config.augment, draws)[:, 0]
        return Batch(changed, batch.route, batch.speed, batch.commands)

    @staticmethod
    def _answer(network: PilotNet, batch: Batch) -> torch.Tensor:
        return network(*(torch.from_numpy(a) for a in (batch.pictures, batch.route, batch.speed)))

    @torch.no_grad()
    def measure(self, data: Demonstrations) -> dict[str, float]:
        """Open-loop mean squared error of the moving average on all examples.

        Returns:
            ``mse_steer``, ``mse_accel``, their mean ``mse``, and under ``mean_...`` what always
            answering with the training data's mean command would make.
        """
        wrong, dull = np.zeros(2), np.zeros(2)
        always = self.data.commands.mean(0)
        for first in range(0, len(data), MEASURE_BATCH):
            batch = data.batch(np.arange(first, min(first + MEASURE_BATCH, len(data))))
            answer = self._answer(self.ema, batch).numpy()
            wrong += ((answer - batch.commands) ** 2).sum(0)
            dull += ((always - batch.commands) ** 2).sum(0)
        measures: dict[str, float] = {}
        for prefix, sums in (("", wrong), ("mean_", dull)):
            errors = sums / len(data)
            measures |= {f"{prefix}mse": float(errors.mean())}
            measures |= {
                f"{prefix}mse_{name}": float(error)
                for name, error in zip(OUTPUTS, errors, strict=True)
            }
        return measures

    def _note(self, phase: str, scalars: dict[str, float]) -> None:
        rounded = {name: round(value, 6) for name, value in scalars.items()}
        self.curve.append({"step": self.step, "minutes": round(self.elapsed_s / 60, 2)} | rounded)
        self.report(phase, self.step, scalars)

    def _measure(self) -> None:
        """On the held-out drives, once a step; the network with the lowest error is kept."""
        if self.validation is None:
            self._keep_network({})
            return
        if self.curve and self.curve[-1]["step"] == self.step and "mse" in self.curve[-1]:
            return
        measures = self.measure(self.validation)
        self._note("validation", measures)
        if measures["mse"] < self.kept.get("mse", math.inf):
            self.kept = {"step": self.step} | measures
            self._keep_network(self.kept)

    def _keep_network(self, metrics: dict[str, float]) -> None:
        """Write the network (moving average) as the result of the run so far."""
        save_pilotnet(
            self.ema,
            self.out,
            data_hash=self.data.hash,
            validation_hash=self.validation.hash if self.validation else None,
            examples=len(self.data),
            validation_examples=len(self.validation) if self.validation else 0,
            steps=self.step,
            minutes=round(self.elapsed_s / 60.0, 2),
            metrics=metrics,
            command=self.command,
            training=self.config.model_dump(),
        )

    def save(self) -> None:
        """Write the curve and the state to go on from."""
        facts = {
            "config": self.config.model_dump(),
            "data_hash": self.data.hash,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "curve": self.curve,
            "kept": self.kept,
        }
        write_text(self.out / CURVE, json.dumps(self.curve, indent=1) + "\n")
        save_state(self.out / STATE_FILE, self.network, self.ema, self.optimizer, facts)
