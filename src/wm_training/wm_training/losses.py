"""What the world model is trained to get right.

The heads are supervised twice: on posterior states (what is perceived now) and on states imagined
from there with the actions really taken (overshooting), because the planner reads them there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from wm_dynamics import ranks
from wm_dynamics.bev import unpack_bev
from wm_dynamics.ego import EgoNet
from wm_dynamics.kl import balanced_kl
from wm_dynamics.model import WorldModel, window_drive
from wm_dynamics.objective import reconstruction_errors
from wm_dynamics.rssm import States
from wm_training.forecast_loss import forecast_loss
from wm_training.head_losses import head_losses, weighted_sum, window_losses
from wm_training.train_config import LossConfig

# Typical one-step sizes: next speed/10, yaw rate, accel/5; motion dx, dy, dyaw.
EGO_WEIGHT = (10.0, 5.0, 1.0, 10.0, 20.0, 20.0)
SEEN = "seen:"  # before a stream's name: what the model sees of it, where that is not what it draws
CHANNEL_WEIGHT = 4.0  # extra loss on set pixels of the sparse channels (vehicles, stop lines)
SPARSE_FROM = 3  # bird's-eye-view channels from here on are sparse


def ego_loss(ego: EgoNet, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Roll the ego net over a window and compare every step, state and motion.

    Args:
        ego: the net.
        batch: "state" (B, S+1, 5), "action" (B, S+1, 2), "motion" (B, S+1, 3).
    """
    states, motions = ego.roll(batch["state"][:, 0], batch["action"][:, 1:])
    keep = [0, 1, 4]  # the echoes of the action need no learning
    predicted = torch.cat([states[..., keep], motions], -1)
    target = torch.cat([batch["state"][:, 1:, keep], batch["motion"][:, 1:]], -1)
    weight = predicted.new_tensor(EGO_WEIGHT)
    # The first step counts as much as all six together: errors of later steps grow out of it.
    error = F.smooth_l1_loss(predicted * weight, target * weight, beta=0.05, reduction="none")
    return error[:, 0].mean() + error.mean()


def reconstruction_loss(
    model: WorldModel,
    states: States,
    masks: torch.Tensor | None,
    mask: torch.Tensor,
    fraction: float,
) -> torch.Tensor:
    """Decode a random ``fraction`` of the frames at half resolution; cross-entropy per pixel.

    Zero for a model that draws no masks.
    """
    if model.decoder is None or masks is None:
        return states.deter.new_zeros(())
    chosen = _some_frames(mask, fraction)
    error = mask_error(
        model.decoder(states.features.flatten(0, 1)[chosen]).float(), masks.flatten(0, 1)[chosen]
    )
    valid = mask.flatten()[chosen]
    drawn = ranks.total(error * valid)
    return drawn / ranks.total(valid).clamp_min(1.0)


def mask_error(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Cross-entropy per pixel, averaged and summed over channels; sparse set pixels count more.

    Args:
        logits: (M, C, S/2, S/2).
        masks: (M, C, S, S) of 0/1.

    Returns:
        (M,).
    """
    target = F.max_pool2d(masks, 2).float()
    weight = torch.ones_like(target)
    weight[:, SPARSE_FROM:] += CHANNEL_WEIGHT * target[:, SPARSE_FROM:]
    error = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    return error.mean((2, 3)).sum(1)


def camera_loss(
    model: WorldModel, states: States, batch: dict[str, torch.Tensor], fraction: float
) -> torch.Tensor:
    """Draw the cameras' pictures of a random ``fraction`` of the frames at half resolution.

    Mean over frames of ``wm_dynamics.decoder.image_error``; for models with cameras.
    """
    mask = batch["mask"]
    chosen = _some_frames(mask, fraction)
    pictures = {name: batch[name].flatten(0, 1)[chosen] for name in model.config.cameras}
    errors = reconstruction_errors(model, states.features.flatten(0, 1)[chosen], pictures)
    valid = mask.flatten()[chosen]
    return ranks.total(errors["cameras"] * valid) / ranks.total(valid).clamp_min(1.0)


def _some_frames(mask: torch.Tensor, fraction: float) -> torch.Tensor:
    """Random indices of a ``fraction`` of the frames of ``mask`` (B, T), at least one."""
    frames = mask.numel()
    order = torch.randperm(ranks.count(frames), device=mask.device)
    chosen = order[: max(1, int(len(order) * fraction))]
    return ranks.own_rows(chosen, frames, mask.shape[1])


@dataclass(frozen=True)
class Overshoot:
    """What was imagined from S steps of each of B windows, H steps ahead, and what came.

    Attributes:
        starts: the S steps.
        features: (S * B, H, F) of the imagined states.
        labels: (S * B, H, columns) true.
        mask: (S * B, H) 1 inside the episode.
    """

    starts: list[int]
    features: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor


def overshoot(
    model: WorldModel, states: States, batch: dict[str, torch.Tensor], loss: LossConfig
) -> Overshoot:
    """Imagine ``loss.horizon`` steps from random posterior states with the true actions.

    Half of the rollouts sample, half follow the mode as the planner does.
    """
    steps = batch["mask"].shape[1]
    drive = window_drive(batch)
    starts = torch.randint(2, steps - loss.horizon, (loss.starts,)).tolist()
    members = torch.randint(len(model.rssm.priors), (loss.horizon,)).tolist()

    def ahead(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, t + 1 : t + 1 + loss.horizon] for t in starts])

    deter = torch.cat([states.deter[:, t] for t in starts])
    stoch = torch.cat([states.stoch[:, t] for t in starts])
    greedy = ranks.numbers(len(deter), deter.device) % 2 == 0
    memories = [memory for t in starts if (memory := states.memory_after(t)) is not None]
    memory = torch.cat(memories) if memories else None
    imagined = model.rssm.imagine(deter, stoch, ahead(drive), members, greedy, memory)
    return Overshoot(starts, imagined.features, ahead(batch["labels"]), ahead(batch["mask"]))


def world_model_loss(
    model: WorldModel,
    batch: dict[str, torch.Tensor],
    columns: dict[str, int],
    loss: LossConfig,
    kl_scale: float = 1.0,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Total loss of one batch of windows, and its parts for logging (detached scalars).

    Args:
        model: the model; of the batch's streams it sees those it was made for. Masks are a target
            also for a model that does not see them, unless it draws none.
        batch: windows as ``WindowSampler`` cuts them; "weight" (B,), where there is one, is the
            importance of each window, and every mean is one weighted by it.
        columns: label name -> column.
        loss: weights of the terms.
        kl_scale: weighs the KL beside its own weights, see ``optimiser.kl_scale``.

    Returns:
        The loss and its parts. Where the batch has weights also "window_loss" (B,): what
        ``WindowSampler.update`` wants to know.
    """
    if weighted := "weight" in batch:
        batch = {**batch, "mask": batch["mask"] * batch["weight"][:, None]}
    masks, mask = _masks(model, batch), batch["mask"]
    seen = {name.removeprefix(SEEN): x for name, x in batch.items() if name.startswith(SEEN)}
    states = model.observe(masks, {**batch, **seen})
    kl, nats = balanced_kl(
        model.rssm, states, mask, loss.dynamics, loss.representation, loss.free_nats
    )
    reconstruction = reconstruction_loss(model, states, masks, mask, loss.decode_fraction)
    perceived = (model.head(states.features[:, 2:]).float(), batch["labels"][:, 2:], mask[:, 2:])
    now = head_losses(*perceived, columns)
    imagined = overshoot(model, states, batch, loss)
    foreseen = (model.head(imagined.features).float(), imagined.labels, imagined.mask)
    ahead = head_losses(*foreseen, columns)
    total = kl_scale * kl + loss.reconstruction * reconstruction
    total = total + loss.heads_now * weighted_sum(now, loss)
    total = total + loss.heads_imagined * weighted_sum(ahead, loss)
    drawn = _drawing_losses(model, states, imagined, batch, loss)
    for weight, value in drawn.values():
        total = total + weight * value
    parts = {
        "loss": total,
        "recon_loss": reconstruction,
        **{name: value for name, (_, value) in drawn.items()},
        "kl_loss": nats,
        "reward_loss": now["reward"],
        "dynamics_loss": torch.stack(list(ahead.values())).sum(),
        **{f"heads/{name}": value for name, value in now.items()},
        **{f"imagined/{name}": value for name, value in ahead.items()},
    }
    if weighted:
        later = window_losses(*foreseen, columns, loss).unflatten(0, (loss.starts, -1)).mean(0)
        parts["window_loss"] = window_losses(*perceived, columns, loss) + later
    return total, {name: value.detach() for name, value in parts.items()}


def _drawing_losses(
    model: WorldModel,
    states: States,
    imagined: Overshoot,
    batch: dict[str, torch.Tensor],
    loss: LossConfig,
) -> dict[str, tuple[float, torch.Tensor]]:
    """What the model draws beside the masks of now: name -> weight and loss."""
    drawn = {}
    if model.forecast is not None and model.decoder is not None:
        value = forecast_loss(
            model.forecast, model.decoder, imagined.features, batch, imagined.starts,
            loss.forecasts,
        )  # fmt: skip
        drawn["forecast_loss"] = (loss.forecast, value)
    if model.camera_decoder is not None:
        value = camera_loss(model, states, batch, loss.decode_fraction)
        drawn["camera_recon_loss"] = (loss.camera_reconstruction, value)
    return drawn


def _masks(model: WorldModel, batch: dict[str, torch.Tensor]) -> torch.Tensor | None:
    """Bird's-eye masks in the type the networks work in, if the model sees or draws them."""
    if not model.config.bev and model.decoder is None:
        return None
    kind = batch["bev"].device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return unpack_bev(batch["bev"], model.config.bev_channels, dtype)
