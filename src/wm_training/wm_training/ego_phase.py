"""Phase 1 of a training run: the ego-dynamics net, in float32, with a schedule of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch

from wm_dynamics.ego import EgoNet
from wm_dynamics.errors import UserError
from wm_training.losses import ego_loss
from wm_training.sampler import WindowSampler
from wm_training.stopping import StopRequest
from wm_training.train_config import TrainConfig

REPORT_EVERY = 200


def fit_ego(
    ego: EgoNet,
    sampler: WindowSampler,
    config: TrainConfig,
    report: Callable[[int, dict[str, float]], None],
    stop: StopRequest,
) -> None:
    """Train ``ego`` in place; several processes all do the same.

    Args:
        ego: the net.
        sampler: of the windows.
        config: settings of the run.
        report: called with the step and the loss, every ``REPORT_EVERY`` steps.
        stop: whether to give up.

    Raises:
        UserError: a stop was asked for.
    """
    device = next(ego.parameters()).device
    optimizer = torch.optim.Adam(ego.parameters(), config.ego_learning_rate)
    for step in range(config.ego_steps):
        if stop.made:
            raise UserError("stopped before the ego dynamics were learned; nothing was saved")
        fall = max(0.02, 1.0 - step / config.ego_steps)
        optimizer.param_groups[0]["lr"] = config.ego_learning_rate * fall
        batch = sampler.ego_batch(config.ego_batch, config.ego_horizon)
        loss = ego_loss(ego, {name: value.to(device) for name, value in batch.items()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == config.ego_steps:
            report(step + 1, {"ego_loss": loss.item()})
