"""What the world model is trained to get right.

The heads are supervised twice: on posterior states (what is perceived now) and on states imagined
from there with the actions really taken (overshooting), because the planner reads them there.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from wm_dynamics.bev import unpack_bev
from wm_dynamics.ego import EgoNet
from wm_dynamics.heads import HEADS
from wm_dynamics.kl import balanced_kl
from wm_dynamics.model import WorldModel, window_drive
from wm_dynamics.rssm import States
from wm_training.train_config import LossConfig

# Typical one-step sizes: next speed/10, yaw rate, accel/5; motion dx, dy, dyaw.
EGO_WEIGHT = (10.0, 5.0, 1.0, 10.0, 20.0, 20.0)
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


def head_losses(
    raw: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, columns: dict[str, int]
) -> dict[str, torch.Tensor]:
    """Weighted loss per head, scalars by head name.

    Args:
        raw: (B, T, L) network outputs.
        labels: (B, T, columns of the store).
        mask: (B, T) 1 where the step exists.
        columns: label name -> column.
    """
    losses = {}
    for i, head in enumerate(HEADS):
        target = labels[..., columns[head.label]]
        valid = mask if head.presence is None else mask * labels[..., columns[head.presence]]
        if head.kind == "regression":
            target = torch.where(valid > 0, target, torch.zeros_like(target)) / head.scale
            error = F.smooth_l1_loss(raw[..., i], target, beta=0.1, reduction="none")
        else:
            error = F.binary_cross_entropy_with_logits(
                raw[..., i],
                target,
                pos_weight=raw.new_tensor(head.positive_weight),
                reduction="none",
            )
        # At least 2 % of the steps in the denominator: one lone present step must not dominate.
        count = valid.sum().clamp_min(0.02 * mask.numel())
        losses[head.name] = head.weight * (error * valid).sum() / count
    return losses


def reconstruction_loss(
    model: WorldModel, states: States, masks: torch.Tensor, mask: torch.Tensor, fraction: float
) -> torch.Tensor:
    """Decode a random ``fraction`` of the frames at half resolution; cross-entropy per pixel.

    Zero for a model that draws no masks.
    """
    if model.decoder is None:
        return states.deter.new_zeros(())
    frames = mask.numel()
    chosen = torch.randperm(frames, device=mask.device)[: max(1, int(frames * fraction))]
    target = F.max_pool2d(masks.flatten(0, 1)[chosen], 2).float()
    logits = model.decoder(states.features.flatten(0, 1)[chosen]).float()
    weight = torch.ones_like(target)
    weight[:, SPARSE_FROM:] += CHANNEL_WEIGHT * target[:, SPARSE_FROM:]
    error = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    valid = mask.flatten()[chosen]
    return (error.mean((2, 3)).sum(1) * valid).sum() / valid.sum().clamp_min(1.0)


def overshoot(
    model: WorldModel, states: States, batch: dict[str, torch.Tensor], loss: LossConfig
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Imagine ``loss.horizon`` steps from random posterior states with the true actions.

    Half of the rollouts sample, half follow the mode as the planner does.

    Returns:
        Head outputs (S*B, H, L), labels (S*B, H, columns), mask (S*B, H).
    """
    steps = batch["mask"].shape[1]
    drive = window_drive(batch)
    starts = torch.randint(2, steps - loss.horizon, (loss.starts,)).tolist()
    members = torch.randint(len(model.rssm.priors), (loss.horizon,)).tolist()

    def ahead(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, t + 1 : t + 1 + loss.horizon] for t in starts])

    deter = torch.cat([states.deter[:, t] for t in starts])
    stoch = torch.cat([states.stoch[:, t] for t in starts])
    greedy = torch.arange(len(deter), device=deter.device) % 2 == 0
    memories = [memory for t in starts if (memory := states.memory_after(t)) is not None]
    memory = torch.cat(memories) if memories else None
    imagined = model.rssm.imagine(deter, stoch, ahead(drive), members, greedy, memory)
    raw = model.head(imagined.features).float()
    return raw, ahead(batch["labels"]), ahead(batch["mask"])


def world_model_loss(
    model: WorldModel,
    batch: dict[str, torch.Tensor],
    columns: dict[str, int],
    loss: LossConfig,
    kl_scale: float = 1.0,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Total loss of one batch of windows, and its parts for logging (detached scalars).

    ``kl_scale`` weighs the KL beside its own weights, see ``optimiser.kl_scale``.
    """
    kind = batch["bev"].device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    masks = unpack_bev(batch["bev"], model.config.bev_channels, dtype)
    mask = batch["mask"]
    states = model.observe(masks, batch)
    kl, nats = balanced_kl(
        model.rssm, states, mask, loss.dynamics, loss.representation, loss.free_nats
    )
    reconstruction = reconstruction_loss(model, states, masks, mask, loss.decode_fraction)
    now = head_losses(
        model.head(states.features[:, 2:]).float(), batch["labels"][:, 2:], mask[:, 2:], columns
    )
    raw, labels, valid = overshoot(model, states, batch, loss)
    ahead = head_losses(raw, labels, valid, columns)
    total = kl_scale * kl + loss.reconstruction * reconstruction
    total = total + loss.heads_now * _weigh(now, loss) + loss.heads_imagined * _weigh(ahead, loss)
    parts = {
        "loss": total,
        "recon_loss": reconstruction,
        "kl_loss": nats,
        "reward_loss": now["reward"],
        "dynamics_loss": torch.stack(list(ahead.values())).sum(),
        **{f"heads/{name}": value for name, value in now.items()},
        **{f"imagined/{name}": value for name, value in ahead.items()},
    }
    return total, {name: value.detach() for name, value in parts.items()}


def _weigh(losses: dict[str, torch.Tensor], loss: LossConfig) -> torch.Tensor:
    """Sum over heads, logits at half weight (cross-entropies are larger than scaled errors)."""
    shares = [1.0 if head.kind == "regression" else loss.logit_share for head in HEADS]
    terms = [share * losses[head.name] for share, head in zip(shares, HEADS, strict=True)]
    return torch.stack(terms).sum()
