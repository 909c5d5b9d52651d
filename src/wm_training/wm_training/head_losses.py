"""How wrong the heads are: per head over a batch, and per window over all heads."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional as F

from wm_dynamics import ranks
from wm_dynamics.heads import HEADS, Head
from wm_training.train_config import LossConfig


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
    for head, error, valid in _head_errors(raw, labels, mask, columns):
        # At least 2 % of the steps in the denominator: one lone present step must not dominate.
        count = ranks.total(valid).clamp_min(0.02 * ranks.count(mask.numel()))
        losses[head.name] = head.weight * ranks.total(error * valid) / count
    return losses


@torch.no_grad()
def window_losses(
    raw: torch.Tensor,
    labels: torch.Tensor,
    mask: torch.Tensor,
    columns: dict[str, int],
    loss: LossConfig,
) -> torch.Tensor:
    """How wrong the heads are in each window: (B,) mean over its steps, summed over heads.

    Args:
        raw, labels, mask, columns: as of :func:`head_losses`.
        loss: weighs the heads.
    """
    total = raw.new_zeros(len(raw))
    for head, error, valid in _head_errors(raw, labels, mask, columns):
        total += _share(head, loss) * head.weight * (error * valid).sum(1)
    return total / mask.sum(1).clamp_min(1e-6)  # a weight in the mask cancels out


def _head_errors(
    raw: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, columns: dict[str, int]
) -> Iterator[tuple[Head, torch.Tensor, torch.Tensor]]:
    """Per head its error and where it counts, both (B, T)."""
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
        yield head, error, valid


def weighted_sum(losses: dict[str, torch.Tensor], loss: LossConfig) -> torch.Tensor:
    """Sum over heads of what :func:`head_losses` returned."""
    return torch.stack([_share(head, loss) * losses[head.name] for head in HEADS]).sum()


def _share(head: Head, loss: LossConfig) -> float:
    """Logits count half (cross-entropies are larger than scaled errors)."""
    return 1.0 if head.kind == "regression" else loss.logit_share
