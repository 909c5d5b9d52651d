"""Trains a model's encoder on single moments, see :mod:`wm_training.sight`."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from wm_dynamics.checkpoint import CONFIG, read_config, save_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.augmentation import Augmentation
from wm_training.loader import Loader
from wm_training.model_choice import check_fits, model_facts
from wm_training.optimiser import clip_gradients, learning_rate
from wm_training.sampler import WindowSampler
from wm_training.scalar_means import ScalarMeans
from wm_training.sight import Sight, measure, sight_loss
from wm_training.stopping import StopRequest, spent
from wm_training.store import Store
from wm_training.train_config import AugmentConfig, LossConfig
from wm_training.train_state import read_facts, restore_state, save_state
from wm_training.validation import VALIDATION_POOLS

STATE_FILE = "training_state.safetensors"
HELD_OUT = 1024  # moments that are measured
Report = Callable[[str, int, dict[str, float]], None]


class SightTraining(BaseModel):
    """Settings of a run. The budget is ``steps`` (deterministic) or ``minutes`` (wall clock)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    batch: int = Field(96, ge=1)
    learning_rate: float = Field(1e-3, gt=0.0)
    final_learning_rate: float = Field(0.05, ge=0.0, le=1.0)
    warmup: int = Field(100, ge=1)
    weight_decay: float = Field(0.02, ge=0.0)
    clip_kind: Literal["norm", "adaptive"] = "norm"
    clip: float = Field(20.0, gt=0.0)
    adaptive_clip: float = Field(0.3, gt=0.0)
    ema: float = Field(0.998, ge=0.0, lt=1.0)
    bf16: bool = True
    hide_state: float = Field(0.5, ge=0.0, le=1.0)  # share of moments, see ``sight.sight_loss``
    log_every: int = Field(100, ge=1)
    save_every_s: float = Field(120.0, gt=0.0)
    loss: LossConfig = LossConfig()
    # Stronger than for windows: nothing here has to fit together over time.
    augment: AugmentConfig = AugmentConfig(colour=0.3, cutout=0.35, shift_px=4)


class SightTrainer:
    """One run: owns the model whose encoder learns, its readers, and the output directory.

    The output directory holds the model (moving average of the encoder; all else as it began) and
    ``training_state.safetensors`` to continue from.

    Args:
        config: settings.
        model: whose encoder learns.
        store: training data.
        out: output directory.
        validation: held-out data, or None.
        report: called with averaged scalars; phases "train" and "validation".
    """

    def __init__(
        self,
        config: SightTraining,
        model: WorldModel,
        store: Store,
        out: Path | str,
        validation: Store | None = None,
        report: Report = lambda phase, step, scalars: None,
    ):
        if (config.steps is None) == (config.minutes is None):
            raise UserError("give the budget either in steps or in minutes")
        for data in (store, validation):
            if data is not None:
                check_fits(data, model.config)
        self.config, self.store, self.out, self.report = config, store, Path(out), report
        stride = round(model.config.dt / store.frame_dt)
        self.columns = {name: i for i, name in enumerate(store.labels)}
        torch.manual_seed(config.seed)
        self.model = model.train()
        self.sight = Sight(model.encoder, model.config)
        self.ema = copy.deepcopy(self.sight).eval().requires_grad_(False)
        self.learned = list(self.sight.parameters())
        self.optimizer = torch.optim.AdamW(
            self.learned, config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
        )
        changes = Augmentation(config.augment, model.config, self.columns, stride, (config.seed,))
        streams = model.config.streams
        sampler = WindowSampler(store, 1, stride, config.seed, 1, streams=streams)
        self.loader = Loader(sampler, config.batch, prepare=changes)
        self.held_out: dict[str, torch.Tensor] | None = None
        if validation is not None:
            held = WindowSampler(validation, 1, stride, 0, 1, VALIDATION_POOLS, streams)
            self.held_out = held.batch(HELD_OUT)
        self.step, self.elapsed_s = 0, 0.0
        self.metrics: dict[str, float] = {}
        self.stop = StopRequest()

    @classmethod
    def resume(cls, store: Store, out: Path | str, budget: dict, **kwargs) -> SightTrainer:
        """Continue the run in ``out``.

        Args:
            store: the same training data.
            out: directory of the run.
            budget: {"steps": n} or {"minutes": m} to replace the saved total, or {}.
            kwargs: as for the constructor.

        Raises:
            UserError: nothing to resume, other data, or another model.
        """
        path = Path(out) / STATE_FILE
        facts = read_facts(path)
        model = WorldModel.untrained(read_config(Path(out) / CONFIG))
        if facts["model"] != model_facts(model):
            raise UserError(f"{out}/{CONFIG} is not the one this run began with; put it back")
        if facts["data_hash"] != store.hash:
            raise UserError(f"{out} was trained on other data (hash {facts['data_hash']}, these "
                            f"stores {store.hash}); give the same stores")  # fmt: skip
        settings = facts["config"]
        if budget:
            settings |= {"steps": None, "minutes": None} | budget
        trainer = cls(SightTraining.model_validate(settings), model, store, out, **kwargs)
        both = torch.nn.ModuleDict({"sight": trainer.sight, "model": trainer.model})
        restore_state(path, both, trainer.ema, trainer.optimizer)
        trainer.loader.restore(facts["sampler"])
        trainer.step, trainer.elapsed_s = facts["step"], facts["elapsed_s"]
        return trainer

    @property
    def fraction(self) -> float:
        """Share of the budget spent, 0 to 1."""
        return spent(self.config.steps, self.config.minutes, self.step, self.elapsed_s)

    def fit(self, until: int | None = None) -> dict[str, float]:
        """Train to the end of the budget, to step ``until``, or to a Ctrl-C; then save.

        Returns:
            What is seen on held-out moments.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        log = ScalarMeans(self.config.batch, self.loader)
        with self.stop.listening():
            saved = time.monotonic()
            while not (self.stop.made or self.fraction >= 1.0 or self.step == until):
                begin = time.monotonic()
                log.add(self.update())
                self.elapsed_s += time.monotonic() - begin
                if log.steps == self.config.log_every:
                    self.report("train", self.step, log.take())
                if time.monotonic() - saved > self.config.save_every_s:
                    self.save()
                    saved = time.monotonic()
        self.save()
        return self.metrics

    def update(self) -> dict[str, torch.Tensor]:
        """One optimiser step; returns the parts of the loss."""
        config = self.config
        rate = learning_rate(config, self.step, self.fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.loader.next(self.fraction)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            loss, parts = sight_loss(
                self.sight, batch, self.columns, config.loss, config.hide_state
            )
        if not torch.isfinite(loss):
            raise UserError(
                f"training diverged: the loss is not finite at step {self.step}; {self.out} still "
                "holds the last save, continue from it with --resume"
            )
        self.optimizer.zero_grad()
        loss.backward()
        clip_gradients(self.learned, config)
        self.optimizer.step()
        self.step += 1
        decay = min(config.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.learned), 1.0 - decay)
        return parts

    def save(self) -> None:
        """Measure, and write the model and the state to continue from."""
        if self.held_out is not None:
            self.metrics = measure(self.ema, self.held_out, self.columns, self.config.loss)
            self.report("validation", self.step, self.metrics)
        shipped = copy.deepcopy(self.model)
        shipped.encoder.load_state_dict(self.ema.encoder.state_dict())
        save_checkpoint(
            shipped.eval(),
            self.out,
            data_hash=self.store.hash,
            steps=self.step,
            frames=self.step * self.config.batch,
            minutes=round(self.elapsed_s / 60.0, 2),
            training=self.config.model_dump(),
            metrics=self.metrics,
        )
        facts = {
            "config": self.config.model_dump(),
            "model": model_facts(self.model),
            "data_hash": self.store.hash,
            "sampler": self.loader.state(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        both = torch.nn.ModuleDict({"sight": self.sight, "model": self.model})
        save_state(self.out / STATE_FILE, both, self.ema, self.optimizer, facts)
