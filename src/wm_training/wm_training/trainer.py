"""Trains a world model: ego dynamics first (seconds), then the recurrent model (minutes)."""

from __future__ import annotations

import copy
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from wm_dynamics.checkpoint import CONFIG, read_config, save_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_training.checkpoints import FOLDER, BestCheckpoints
from wm_training.held_out import HeldOut
from wm_training.losses import ego_loss, world_model_loss
from wm_training.model_choice import check_fits, check_kind, fresh_model, model_facts
from wm_training.optimiser import clip_gradients, kl_scale, learning_rate
from wm_training.sampler import WindowSampler
from wm_training.store import Store
from wm_training.train_config import TrainConfig, check_same_settings
from wm_training.train_state import read_facts, restore_state, save_state

STATE_FILE = "training_state.safetensors"
Report = Callable[[str, int, dict[str, float]], None]  # (phase, step, averaged scalars)
Show = Callable[[int, dict[str, np.ndarray]], None]  # (step, pictures)


class Trainer:
    """One run: owns model, moving average, optimiser, sampler and the output directory.

    The output directory holds the shippable checkpoint (moving-average weights) and, beside it,
    ``training_state.safetensors`` to continue from and, with validation data, the best checkpoints.

    Args:
        config: settings.
        store: training data.
        out: output directory.
        validation: held-out data, or None.
        device: "cpu" or "cuda".
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
        device: str = "cpu",
        report: Report = lambda phase, step, scalars: None,
        start: WorldModel | None = None,
        show: Show | None = None,
    ):
        if config.patience is not None and validation is None:
            raise UserError("patience looks at held-out data; give some with --val")
        if (config.steps is None) == (config.minutes is None):
            raise UserError("give the budget either in steps or in minutes")
        if config.length < config.loss.horizon + 3:
            raise UserError(f"windows of {config.length} steps are too short to imagine "
                            f"{config.loss.horizon} steps in them")  # fmt: skip
        model_config = start.config if start else variant(config.size, config.core, config.latent)
        for data in (store, validation):
            if data is not None:
                check_fits(data, model_config)
        self.config, self.store, self.show = config, store, show
        self.out, self.device, self.report = Path(out), torch.device(device), report
        torch.manual_seed(config.seed)
        self.stride = round(model_config.dt / store.frame_dt)
        self.columns = {name: i for i, name in enumerate(store.labels)}
        self.sampler = WindowSampler(store, config.length, self.stride, config.seed)
        self.held_out: HeldOut | None = None
        if validation is not None:
            self.held_out = HeldOut(validation, model_config, config, self.stride)
        self.model = start or fresh_model(model_config, config.seed, store)
        self.model.to(self.device).train()
        self.ema = copy.deepcopy(self.model).eval().requires_grad_(False)
        # The ego net has its own phase and optimiser.
        self.learned = [p for n, p in self.model.named_parameters() if not n.startswith("ego.")]
        self.optimizer = torch.optim.AdamW(
            self.learned, config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
        )
        self.step, self.elapsed_s = 0, 0.0
        self.best = BestCheckpoints(self.out / FOLDER, config.keep)
        self.ego_trained = False
        self.stop_requested = False
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
        restore_state(path, trainer.model, trainer.ema, trainer.optimizer)
        trainer.sampler.restore(facts["sampler"])
        if "best" in facts:  # absent in runs begun before there were such checkpoints
            trainer.best.restore(facts["best"])
        trainer.step, trainer.elapsed_s = facts["step"], facts["elapsed_s"]
        trainer.ego_trained = True
        return trainer

    # ------------------------------------------------------------------ the run

    def fit(self, until: int | None = None) -> dict[str, float]:
        """Train to the end of the budget, to step ``until``, or to a Ctrl-C; then save.

        Returns:
            Validation metrics (empty without validation data or when stopped early).
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with self._interruptible():
            if not self.ego_trained:
                self._fit_ego()
            saved = time.monotonic()
            sums: dict[str, torch.Tensor | float] = defaultdict(float)
            window_start, window_steps = time.monotonic(), 0
            while not (self.stop_requested or self.done or self.step == until):
                begin = time.monotonic()
                for name, value in self._train_step().items():
                    sums[name] = sums[name] + value
                self.elapsed_s += time.monotonic() - begin
                window_steps += 1
                if window_steps == self.config.log_every:
                    took = time.monotonic() - window_start
                    frames = window_steps * self.config.batch * self.config.length
                    scalars = {k: float(v) / window_steps for k, v in sums.items()}
                    self.report("train", self.step, scalars | {"frames_per_s": frames / took})
                    sums.clear()
                    window_start, window_steps = time.monotonic(), 0
                every = self.config.validate_every
                due = every is not None and self.step % every == 0
                if due or time.monotonic() - saved > self.config.save_every_s:
                    # By the clock only where no steps are given: patience is to be reproducible.
                    self.save(self._validate() if due or every is None else {})
                    saved = time.monotonic()
        metrics = self._validate() if self.done else {}
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
        steps, minutes = self.config.steps, self.config.minutes
        if steps is not None:
            return self.step / steps
        assert minutes is not None, "a run has a budget in steps or in minutes"
        return self.elapsed_s / (60.0 * minutes)

    def save(self, metrics: dict[str, float]) -> None:
        """Write the checkpoint (moving average) and the state to continue from."""
        self._write_model(self.out, metrics)
        facts = {
            "config": self.config.model_dump(),
            "model": model_facts(self.model),
            "data_hash": self.store.hash,
            "sampler": self.sampler.state(),
            "best": self.best.state(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        save_state(self.out / STATE_FILE, self.model, self.ema, self.optimizer, facts)

    # ------------------------------------------------------------------ parts

    def _fit_ego(self) -> None:
        """Phase 1: the ego net, in float32, with its own learning-rate schedule."""
        config, ego = self.config, self.model.ego
        optimizer = torch.optim.Adam(ego.parameters(), config.ego_learning_rate)
        for step in range(config.ego_steps):
            if self.stop_requested:
                raise UserError("stopped before the ego dynamics were learned; nothing was saved")
            optimizer.param_groups[0]["lr"] = config.ego_learning_rate * max(
                0.02, 1.0 - step / config.ego_steps
            )
            batch = self._to_device(self.sampler.ego_batch(config.ego_batch, config.ego_horizon))
            loss = ego_loss(ego, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if (step + 1) % 200 == 0 or step + 1 == config.ego_steps:
                self.report("ego", step + 1, {"ego_loss": loss.item()})
        self.ema.ego.load_state_dict(ego.state_dict())
        self.ego_trained = True

    def _train_step(self) -> dict[str, torch.Tensor]:
        """One optimiser step of phase 2; returns the loss parts."""
        config = self.config
        rate = learning_rate(config, self.step, self.fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self._to_device(self.sampler.batch(config.batch))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
            scale = kl_scale(config.loss, self.step)
            loss, parts = world_model_loss(self.model, batch, self.columns, config.loss, scale)
        if not torch.isfinite(loss):
            raise UserError(
                f"training diverged: the loss is not finite at step {self.step}; {self.out} still "
                "holds the last save, continue from it with --resume"
            )
        self.optimizer.zero_grad()
        loss.backward()
        parts["learning_rate"] = torch.tensor(rate)
        parts["grad_norm"] = clip_gradients(self.learned, config)
        self.optimizer.step()
        self.step += 1
        decay = min(config.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.ema.parameters()), list(self.model.parameters()), 1.0 - decay
            )
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

    def _to_device(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {key: value.to(self.device) for key, value in batch.items()}

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for a stop after the current step instead of raising."""

        def request(signum, frame) -> None:
            self.stop_requested = True

        try:
            before = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: the caller handles signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
