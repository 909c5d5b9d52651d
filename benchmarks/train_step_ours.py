"""This project's side of ``train_step.py``: its own model, losses and optimiser steps."""

from __future__ import annotations

import contextlib
import copy

import torch
from train_step_worker import Subject, Workload

from wm_dynamics.behavior import Behavior, BehaviorConfig
from wm_dynamics.config import SIZES, CameraConfig, ModelConfig
from wm_dynamics.dream import Start, dream
from wm_dynamics.heads import LABELS
from wm_dynamics.kl import balanced_kl
from wm_dynamics.model import WorldModel
from wm_dynamics.synthetic import synthetic_window
from wm_training.behavior_config import BehaviorLossConfig
from wm_training.behavior_losses import ReturnRange, Starts, behavior_loss
from wm_training.losses import world_model_loss
from wm_training.optimiser import clip_adaptively
from wm_training.train_config import LossConfig

ADAPTIVE_CLIP = 0.3
COLUMNS = {name: i for i, name in enumerate(LABELS)}


def model_config(workload: Workload) -> ModelConfig:
    """The size the published 12 M models have, with one camera, state and route to look at."""
    fields = SIZES["dreamer12m"].model_dump()
    fields["camera"] = CameraConfig.model_validate(
        fields["camera"] | {"height": workload.image, "width": workload.image}
    )
    return ModelConfig.model_validate(fields | {"deter": workload.width})


def training_window(config: ModelConfig, workload: Workload) -> dict[str, torch.Tensor]:
    """Made-up windows with labels."""
    window = synthetic_window(config, workload.batch, workload.length)
    labels = torch.randn(workload.batch, workload.length, len(LABELS))
    for name in ("leader_present", "stop_present", "near", "collision", "off_road",
                 "red_violation", "cont"):  # fmt: skip
        labels[..., COLUMNS[name]] = (labels[..., COLUMNS[name]] > 0).float()
    return window | {"labels": labels}


class Ours:
    """Model, behaviour, their optimisers and one call per column."""

    def __init__(self, workload: Workload, bf16: bool):
        self.workload, self.bf16 = workload, bf16
        config = model_config(workload)
        self.model = WorldModel.untrained(config).train()
        self.window = training_window(config, workload)
        self.loss = LossConfig(
            decode_fraction=1.0, horizon=min(workload.horizon, workload.length - 4)
        )
        self.learned = [p for n, p in self.model.named_parameters() if not n.startswith("ego.")]
        self.optimizer = torch.optim.AdamW(self.learned, 1e-4)
        self.behavior = Behavior.untrained(BehaviorConfig(layers=3), config)
        self.slow = copy.deepcopy(self.behavior.critic).requires_grad_(False)
        self.returns = ReturnRange(0.99)
        self.actions = torch.optim.Adam(self.behavior.parameters(), 1e-4)
        self.frozen = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.embedding = torch.randn(workload.batch, workload.length, config.embed)
        self.drive = torch.randn(workload.batch, workload.length, 6)
        self.starts = self._starts(config)
        self.belief = self.frozen.initial()
        self.filter, self.actor = self.frozen, self.behavior
        if bf16:
            self.filter, self.actor = self.filter.packed(), self.actor.packed()
        self.sight = {name: self.window[name][:1, 0] for name in config.streams}

    def _starts(self, config: ModelConfig) -> Starts:
        count = self.workload.starts
        classes = torch.randint(config.classes, (count, config.groups))
        stoch = self.frozen.rssm.latent.flat(classes)
        deter = torch.randn(count, config.deter).tanh()
        route = torch.randn(count, config.route_dim)
        start = Start(deter, stoch, 0.1 * torch.randn(count, config.state_dim), route)
        return Starts(start, torch.ones(count))

    def autocast(self) -> contextlib.AbstractContextManager:
        """As the trainers do it."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    def act(self) -> None:
        """One observation to one action; in bfloat16 by packed copies."""
        belief = self.filter.observe_belief(
            self.belief, torch.zeros(1, 2), torch.zeros(1, 3), self.sight
        )
        seen = self.actor.observed(belief, self.sight["state"], self.sight["route"])
        self.actor.act(seen)

    def rssm(self) -> None:
        """Recurrence and KL, forward and backward, embeddings given."""
        with self.autocast():
            states = self.model.rssm.observe(self.embedding, self.drive)
            loss, _ = balanced_kl(self.model.rssm, states, self.window["mask"], 1.0, 0.1)
        loss.backward()
        self.model.rssm.zero_grad()

    @torch.no_grad()
    def imagine(self) -> None:
        """The actor's futures from every posterior."""
        horizon = self.workload.horizon
        uniform = torch.rand(self.workload.starts, horizon, self.workload.actions)
        with self.autocast():
            dream(self.frozen, self.behavior, self.starts.start, uniform, [0] * horizon)

    def world_model(self) -> None:
        """One update of the world model, as ``wm_training.trainer`` makes it."""
        with self.autocast():
            loss, _ = world_model_loss(self.model, self.window, COLUMNS, self.loss)
        self.optimizer.zero_grad()
        loss.backward()
        clip_adaptively(self.learned, ADAPTIVE_CLIP)
        self.optimizer.step()

    def update_behavior(self, gradient: str) -> None:
        """One update of actor and critic, as ``wm_training.behavior_trainer`` makes it."""
        config = BehaviorLossConfig(horizon=self.workload.horizon, gradient=gradient)
        with self.autocast():
            actor, critic, _ = behavior_loss(
                self.frozen, self.behavior, self.slow, self.returns, self.starts, config
            )
        self.actions.zero_grad()
        (actor + critic).backward()
        clip_adaptively(list(self.behavior.parameters()), ADAPTIVE_CLIP)
        self.actions.step()
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.slow.parameters()), list(self.behavior.critic.parameters()), 0.02
            )


def build(workload: Workload, bf16: bool) -> Subject:
    """All calls on one set of weights."""
    ours = Ours(workload, bf16)
    parts = {
        "world_model": ours.model,
        "behavior": ours.behavior,
    }
    return Subject(
        "ours",
        {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in parts.items()},
        "bfloat16 autocast, float32 weights and moments" if bf16 else "float32",
        {
            "act": ours.act,
            "rssm": ours.rssm,
            "imagine": ours.imagine,
            "world_model": ours.world_model,
            "behavior": lambda: ours.update_behavior("reinforce"),
            "behavior_dynamics": lambda: ours.update_behavior("dynamics"),
        },
    )
