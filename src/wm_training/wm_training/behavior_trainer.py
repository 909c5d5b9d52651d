"""Trains actor and critic in the imagination of a world model, offline and with fresh data."""

from __future__ import annotations

import copy
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from wm_dynamics.artefact import write_text
from wm_dynamics.behavior import Behavior
from wm_dynamics.behavior_checkpoint import save_behavior
from wm_dynamics.bev import unpack_bev
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.behavior_config import BehaviorTraining
from wm_training.behavior_losses import ReturnRange, behavior_loss, choose_starts, clone_loss
from wm_training.model_choice import check_fits
from wm_training.optimiser import clip_gradients, learning_rate
from wm_training.sampler import WindowSampler
from wm_training.stopping import StopRequest, spent
from wm_training.store import Store
from wm_training.train_state import read_facts, restore_state, save_state

STATE_FILE = "training_state.safetensors"
CURVE = "curve.json"  # learning curve: one object per logged step
Report = Callable[[str, int, dict[str, float]], None]  # (phase, step, averaged scalars)
Refresh = Callable[[int], Store]  # (round) -> all data, with what the actor has driven up to then


class Learner(nn.Module):
    """What a run must remember beside the optimiser: the behaviour and the range of its returns."""

    def __init__(self, behavior: Behavior, decay: float):
        super().__init__()
        self.behavior = behavior
        self.returns = ReturnRange(decay)


class BehaviorTrainer:
    """One run: owns actor, critic, moving average, optimiser, sampler and the output directory.

    The output directory holds the behaviour (moving-average weights), the learning curve and
    ``training_state.safetensors`` to continue from.

    Args:
        config: settings.
        model: the world model; frozen here.
        store: the data futures start from.
        out: output directory.
        device: "cpu" or "cuda".
        report: called with averaged scalars, phase "train".
        refresh: makes the data of the next round, see ``config.rounds``; the actor of the run so
            far is saved before it is called.
    """

    def __init__(
        self,
        config: BehaviorTraining,
        model: WorldModel,
        store: Store,
        out: Path | str,
        device: str = "cpu",
        report: Report = lambda phase, step, scalars: None,
        refresh: Refresh | None = None,
    ):
        if (config.steps is None) == (config.minutes is None):
            raise UserError("give the budget either in steps or in minutes")
        if config.length < config.loss.warm + 2:
            raise UserError(f"windows of {config.length} steps are too short to start after "
                            f"{config.loss.warm} of them")  # fmt: skip
        if config.rounds and refresh is None:
            raise UserError("rounds need somebody who collects fresh data")
        check_fits(store, model.config)
        self.config, self.out, self.device = config, Path(out), torch.device(device)
        self.report, self.refresh = report, refresh
        torch.manual_seed(config.seed)
        self.model = model.to(self.device).eval().requires_grad_(False)
        behavior = Behavior.untrained(config.network, model.config, config.seed)
        self.learner = Learner(behavior, config.loss.return_decay).to(self.device)
        self.ema = copy.deepcopy(behavior).to(self.device).requires_grad_(False)
        self.learned: list[torch.nn.Parameter] = list(behavior.parameters())
        self.optimizer = torch.optim.Adam(self.learned, config.learning_rate, eps=1e-8)
        self.step, self.elapsed_s, self.round = 0, 0.0, 0
        self.curve: list[dict[str, float]] = []
        self.stop = StopRequest()
        self._use(store)

    @staticmethod
    def begun_with(out: Path | str) -> BehaviorTraining:
        """The settings of the run in ``out``.

        Raises:
            UserError: there is none.
        """
        return BehaviorTraining.model_validate(read_facts(Path(out) / STATE_FILE)["config"])

    @classmethod
    def resume(
        cls,
        model: WorldModel,
        out: Path | str,
        stores: Callable[[int], Store],
        budget: dict,
        **kwargs,
    ) -> BehaviorTrainer:
        """Continue the run in ``out``.

        Args:
            model: the same world model.
            out: directory of the run.
            stores: round -> the data of that round.
            budget: {"steps": n} or {"minutes": m} to replace the saved total, or {}.
            kwargs: as for the constructor.

        Raises:
            UserError: nothing to resume, other data or another world model.
        """
        path = Path(out) / STATE_FILE
        facts = read_facts(path)
        if facts["world_model"] != model.hash:
            raise UserError(f"{out} was trained in world model {facts['world_model']}, this one is "
                            f"{model.hash}; give the same --model")  # fmt: skip
        store = stores(facts["round"])
        if facts["data_hash"] != store.hash:
            raise UserError(f"{out} was trained on other data (hash {facts['data_hash']}, these "
                            f"stores {store.hash}); give the same stores")  # fmt: skip
        settings = facts["config"]
        if budget:
            settings |= {"steps": None, "minutes": None} | budget
        trainer = cls(BehaviorTraining.model_validate(settings), model, store, out, **kwargs)
        restore_state(path, trainer.learner, trainer.ema, trainer.optimizer)
        trainer.sampler.restore(facts["sampler"])
        trainer.step, trainer.elapsed_s = facts["step"], facts["elapsed_s"]
        trainer.round, trainer.curve = facts["round"], facts["curve"]
        return trainer

    # ------------------------------------------------------------------ the run

    def fit(self, until: int | None = None) -> None:
        """Train to the end of the budget, to step ``until``, or to a Ctrl-C; then save."""
        self.out.mkdir(parents=True, exist_ok=True)
        with self.stop.listening():
            saved = time.monotonic()
            sums: dict[str, torch.Tensor | float] = defaultdict(float)
            while not (self.stop.made or self.fraction >= 1.0 or self.step == until):
                if self.round < self._round_due():
                    self._next_round()
                begin = time.monotonic()
                for name, value in self.update().items():
                    sums[name] = sums[name] + value
                self.elapsed_s += time.monotonic() - begin
                if self.step % self.config.log_every == 0:
                    self._log({name: float(value) for name, value in sums.items()})
                    sums.clear()
                if time.monotonic() - saved > self.config.save_every_s:
                    self.save()
                    saved = time.monotonic()
        self.save()

    @property
    def fraction(self) -> float:
        """Share of the budget spent, 0 to 1."""
        return spent(self.config.steps, self.config.minutes, self.step, self.elapsed_s)

    def save(self) -> None:
        """Write the behaviour (moving average), the curve and the state to continue from."""
        about = {
            "data_hash": self.store.hash,
            "steps": self.step,
            "minutes": round(self.elapsed_s / 60.0, 2),
            "rounds": self.round,
            "training": self.config.model_dump(),
        }
        save_behavior(self.ema, self.out, self.model.hash, **about)
        write_text(self.out / CURVE, json.dumps(self.curve, indent=1) + "\n")
        facts = {
            "config": self.config.model_dump(),
            "world_model": self.model.hash,
            "data_hash": self.store.hash,
            "sampler": self.sampler.state(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "round": self.round,
            "curve": self.curve,
        }
        save_state(self.out / STATE_FILE, self.learner, self.ema, self.optimizer, facts)

    # ------------------------------------------------------------------ parts

    def update(self) -> dict[str, torch.Tensor]:
        """One optimiser step; returns the parts of the loss."""
        config = self.config
        rate = learning_rate(config, self.step, self.fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = {k: v.to(self.device) for k, v in self.sampler.batch(config.batch).items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
            loss, parts = self._loss(batch)
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
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.learned), 1.0 - decay)
        return parts

    def _loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict]:
        """Imitation first, then the behaviour's own objectives with imitation beside them."""
        config, behavior = self.config, self.learner.behavior
        with torch.no_grad():
            masks = None
            if self.model.config.bev:
                kind = self.device.type
                dtype = torch.get_autocast_dtype(kind) if config.bf16 else torch.float32
                masks = unpack_bev(batch["bev"], self.model.config.bev_channels, dtype)
            states = self.model.observe(masks, batch)
        starts = choose_starts(states, batch, config.loss)
        actor, critic, parts = behavior_loss(
            self.model, behavior, self.ema.critic, self.learner.returns, starts, config.loss
        )
        only_clone = self.step < config.clone_steps
        # The critic learns from the beginning what the actor at hand is worth.
        loss = critic if only_clone else actor + critic
        weight = 1.0 if only_clone else config.loss.clone_weight
        if weight:
            clone = clone_loss(behavior, states, batch, self.columns, config.loss.warm)
            loss = loss + weight * clone
            parts["clone_loss"] = clone.detach()
        return loss, parts | {"loss": loss.detach()}

    def _log(self, sums: dict[str, float]) -> None:
        """Averages since the last time, to the report and the curve."""
        scalars = {name: value / self.config.log_every for name, value in sums.items()}
        rounded = {name: round(value, 5) for name, value in scalars.items()}
        self.curve.append({"step": self.step, "minutes": round(self.elapsed_s / 60, 2)} | rounded)
        self.report("train", self.step, scalars)

    def _use(self, store: Store) -> None:
        """Draw windows from ``store`` from now on."""
        self.store = store
        self.columns = {name: i for i, name in enumerate(store.labels)}
        self.sampler = WindowSampler(
            store,
            self.config.length,
            round(self.model.config.dt / store.frame_dt),
            self.config.seed + self.round,
            streams=self.model.config.streams,
        )

    def _round_due(self) -> int:
        """Which round the run should be in: the budget is shared evenly."""
        return min(int(self.fraction * (self.config.rounds + 1)), self.config.rounds)

    def _next_round(self) -> None:
        """The actor drives, and what it drove is learned from as well."""
        self.save()
        assert self.refresh is not None, "checked when the run was made"
        self.round += 1
        self._use(self.refresh(self.round))
        self.save()
