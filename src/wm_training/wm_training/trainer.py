"""Trains a world model: ego dynamics first (seconds), then the recurrent model (minutes)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wm_dynamics.checkpoint import CONFIG, read_config, save_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.augmentation import Augmentation
from wm_training.checkpoints import FOLDER, BestCheckpoints
from wm_training.devices import Devices, first_process
from wm_training.ego_phase import fit_ego
from wm_training.held_out import HeldOut
from wm_training.learner import Learner
from wm_training.loader import Loader
from wm_training.model_choice import (
    check_fits,
    check_kind,
    choose_model,
    fresh_model,
    model_facts,
)
from wm_training.sampler import make_sampler
from wm_training.scalar_means import ScalarMeans
from wm_training.stopping import StopRequest, spent
from wm_training.store import Store
from wm_training.train_config import TrainConfig, check_same_settings
from wm_training.train_state import read_facts, restore_state, save_state

STATE_FILE = "training_state.safetensors"
Report = Callable[[str, int, dict[str, float]], None]  # (phase, step, averaged scalars)
Show = Callable[[int, dict[str, np.ndarray]], None]  # (step, pictures)


class Trainer:
    """One run: owns the learner, the windows it learns from and the output directory.

    The output directory holds the shippable checkpoint (moving-average weights) and, beside it,
    ``training_state.safetensors`` to continue from and, with validation data, the best checkpoints.
    Of several processes all learn, and the first one writes, measures and reports.

    Args:
        config: settings.
        store: training data.
        out: output directory.
        validation: held-out data, or None.
        devices: what to compute on.
        report: called with averaged losses; phases "ego", "train", "validation".
        show: called with the pictures of a validation.
        start: weights (and shape) to start from instead of random ones of the kind
            ``config`` names.
    """

    def __init__(
        self,
        config: TrainConfig,
        store: Store,
        out: Path | str,
        validation: Store | None = None,
        devices: Devices = Devices(),  # noqa: B008 (frozen)
        report: Report = lambda phase, step, scalars: None,
        start: WorldModel | None = None,
        show: Show | None = None,
    ):
        _check_settings(config, validation is not None, devices)
        model_config = start.config if start else choose_model(config, store)
        for data in (store, validation):
            if data is not None:
                check_fits(data, model_config)
        self.config, self.store, self.show = config, store, show
        self.out, self.report = Path(out), report
        stride = round(model_config.dt / store.frame_dt)
        columns = {name: i for i, name in enumerate(store.labels)}
        self.sampler = make_sampler(
            config.sampler, store, config.length, stride, config.seed, model_config.streams
        )
        self.held_out: HeldOut | None = None
        if validation is not None and first_process():
            self.held_out = HeldOut(validation, model_config, config, stride)
        # Data that does not do is refused before there are other processes.
        self.fabric = devices.start(config.precision)
        self.leads = self.fabric.is_global_zero
        torch.manual_seed(config.seed)
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        augmentation = Augmentation(
            config.augment, model_config, columns, stride, (config.seed, rank)
        )
        self.loader = Loader(
            self.sampler, config.batch, prepare=augmentation, rank=rank, ranks=ranks
        )
        model = start or fresh_model(model_config, config.seed, store)
        self.learner = Learner(model, config, columns, self.fabric)
        self.model, self.ema = self.learner.model, self.learner.ema
        self.step, self.elapsed_s = 0, 0.0
        self.best = BestCheckpoints(self.out / FOLDER, config.keep)
        left_out = bool(config.learn) and "ego" not in config.learn
        self.ego_trained = left_out or "ego" in config.freeze
        self.stop = StopRequest()
        self._validated: tuple[int, dict[str, float]] = (-1, {})  # last step measured, its metrics

    @classmethod
    def resume(
        cls, store: Store, out: Path | str, budget: dict, asked: dict | None = None, **kwargs
    ) -> Trainer:
        """Continue the run in ``out``.

        Args:
            store: the same training data.
            out: directory of the run.
            budget: {"steps": n} or {"minutes": m} to replace the saved total, or {}.
            asked: settings the run must have, as :class:`TrainConfig` names them.
            kwargs: as for the constructor.

        Raises:
            UserError: nothing to resume, other data, another model or other settings.
        """
        path = Path(out) / STATE_FILE
        facts = read_facts(path)
        config, asked = facts["config"], asked or {}
        model = WorldModel.untrained(read_config(Path(out) / CONFIG))
        if facts.get("model", model_facts(model)) != model_facts(model):
            raise UserError(f"{out}/{CONFIG} is not the one this run began with; put it back")
        check_kind(model.config, asked, f"the run in {out}")
        check_same_settings(TrainConfig.model_validate(config), asked, str(out))
        if budget:
            config |= {"steps": None, "minutes": None} | budget
        if facts["data_hash"] != store.hash:
            raise UserError(f"{out} was trained on other data (hash {facts['data_hash']}, "
                            f"these stores {store.hash}); give the same stores")  # fmt: skip
        trainer = cls(TrainConfig.model_validate(config), store, out, start=model, **kwargs)
        trainer._restore(path, facts)
        return trainer

    def _restore(self, path: Path, facts: dict) -> None:
        """Put back what :meth:`save` wrote."""
        learner = self.learner
        restore_state(path, learner.model, learner.ema, learner.optimizer)
        self.fabric.strategy.precision.load_state_dict(facts.get("loss_scale", {}))
        self.loader.restore(facts["sampler"])
        if "best" in facts:  # absent in runs begun before there were such checkpoints
            self.best.restore(facts["best"])
        self.step, self.elapsed_s = facts["step"], facts["elapsed_s"]
        self.ego_trained = True

    # ------------------------------------------------------------------ the run

    def fit(self, until: int | None = None) -> dict[str, float]:
        """Train to the end of the budget, to step ``until``, or to a Ctrl-C; then save.

        Returns:
            Validation metrics (empty without validation data or when stopped early).
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with self.stop.listening():
            if not self.ego_trained:
                self._fit_ego()
            self.learner.begin()
            saved = time.monotonic()
            log = ScalarMeans(self.config.batch * self.config.length, self.loader)
            while not (self._over() or self.step == until):
                begin = time.monotonic()
                log.add(self._train_step())
                self.elapsed_s += time.monotonic() - begin
                if log.steps == self.config.log_every:
                    scalars = log.take()
                    if self.leads:
                        self.report("train", self.step, scalars)
                every = self.config.validate_every
                due = every is not None and self.step % every == 0
                if self.leads and (due or time.monotonic() - saved > self.config.save_every_s):
                    # By the clock only where no steps are given: patience is to be reproducible.
                    self.save(self._validate() if due or every is None else {})
                    saved = time.monotonic()
        metrics = self._validate() if self.done else {}
        if self.leads:
            self.save(metrics)
        return metrics

    @property
    def done(self) -> bool:
        """Whether the budget is spent, or the patience."""
        patience = self.config.patience
        return self.fraction >= 1.0 or (patience is not None and self.best.stale >= patience)

    @property
    def fraction(self) -> float:
        """Share of the budget spent, 0 to 1."""
        return spent(self.config.steps, self.config.minutes, self.step, self.elapsed_s)

    def save(self, metrics: dict[str, float]) -> None:
        """Write the checkpoint (moving average) and the state to continue from."""
        self._write_model(self.out, metrics)
        learner = self.learner
        facts = {
            "config": self.config.model_dump(),
            "model": model_facts(self.model),
            "data_hash": self.store.hash,
            "sampler": self.loader.state(),
            "loss_scale": self.fabric.strategy.precision.state_dict(),
            "best": self.best.state(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        save_state(self.out / STATE_FILE, learner.model, learner.ema, learner.optimizer, facts)

    # ------------------------------------------------------------------ parts

    def _over(self) -> bool:
        """Whether to stop; the first process' clock and losses decide for all."""
        over = self.stop.made or self.done
        if self.fabric.world_size > 1:
            over, self.elapsed_s = self.fabric.broadcast((over, self.elapsed_s))
        return over

    def _fit_ego(self) -> None:
        """Phase 1."""

        def report(step: int, scalars: dict[str, float]) -> None:
            if self.leads:
                self.report("ego", step, scalars)

        fit_ego(self.model.ego, self.sampler, self.config, report, self.stop)
        self.ema.ego.load_state_dict(self.model.ego.state_dict())
        self.ego_trained = True

    def _train_step(self) -> dict[str, torch.Tensor]:
        """One optimiser step of phase 2; returns the loss parts."""
        batch = self.loader.next(self.fraction)
        try:
            parts = self.learner.step(batch, self.step, self.fraction)
        except FloatingPointError as error:
            raise UserError(f"training diverged: {error}; {self.out} still holds the last save, "
                            "continue from it with --resume") from None  # fmt: skip
        self.step += 1
        losses = parts.pop("window_loss", None)
        if losses is not None:
            self.loader.update(losses)
        return parts

    def _write_model(self, path: Path, metrics: dict[str, float]) -> None:
        save_checkpoint(
            self.ema,
            path,
            data_hash=self.store.hash,
            steps=self.step,
            frames=self.step * self.config.batch * self.config.length,
            minutes=round(self.elapsed_s / 60.0, 2),
            training=self.config.model_dump(),
            metrics=metrics,
        )

    def _validate(self) -> dict[str, float]:
        """Metrics of this step, measured once; the model is kept if it is among the best."""
        if self.held_out is None or self._validated[0] == self.step:
            return self._validated[1]
        ema = self.ema.eval()
        measured = self.held_out.measure(ema)
        self.report("validation", self.step, measured)
        metrics = {k: v for k, v in measured.items() if "/" not in k}  # parts go to the log only
        if self.show is not None:
            self.show(self.step, self.held_out.pictures(ema))
        self.best.offer(metrics["loss"], self.step, lambda path: self._write_model(path, metrics))
        self._validated = (self.step, metrics)
        return metrics


def _check_settings(config: TrainConfig, validated: bool, devices: Devices) -> None:
    """Refuse settings that do not go together."""
    if config.patience is not None and not validated:
        raise UserError("patience looks at held-out data; give some with --val")
    if (config.steps is None) == (config.minutes is None):
        raise UserError("give the budget either in steps or in minutes")
    if config.length < config.loss.horizon + 3:
        raise UserError(f"windows of {config.length} steps are too short to imagine "
                        f"{config.loss.horizon} steps in them")  # fmt: skip
    if config.batch % devices.count:
        raise UserError(f"{devices.count} processes cannot have equal shares of {config.batch} "
                        "windows; choose another --batch or --devices")  # fmt: skip
