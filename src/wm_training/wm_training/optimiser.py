"""How weights move: gradient clipping and the schedules of learning rate and KL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch

from wm_training.train_config import LossConfig

# Of a weight's norm: lets tensors that start at zero (biases) move at all.
ADAPTIVE_FLOOR = 1e-3


class StepSettings(Protocol):
    """What the settings of every kind of run say about its steps."""

    @property
    def learning_rate(self) -> float:
        """The highest."""

    @property
    def final_learning_rate(self) -> float:
        """Fraction of it at the end of the cosine."""

    @property
    def warmup(self) -> int:
        """Steps of linear warm-up."""

    @property
    def clip_kind(self) -> str:
        """How gradients are shortened: "norm" or "adaptive"."""

    @property
    def clip(self) -> float:
        """Bound of the norm of all gradients together."""

    @property
    def adaptive_clip(self) -> float:
        """Bound of each gradient, share of the norm of its weights."""


def learning_rate(config: StepSettings, step: int, fraction: float) -> float:
    """Linear warm-up in steps, then a cosine over the budget to the final fraction.

    Args:
        config: settings.
        step: optimiser steps taken.
        fraction: share of the budget spent.
    """
    warm = min(1.0, (step + 1) / config.warmup)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))
    low = config.final_learning_rate
    return config.learning_rate * warm * (low + (1.0 - low) * cosine)


def kl_scale(loss: LossConfig, step: int) -> float:
    """KL annealing (Bowman et al. 2016, arXiv 1511.06349): from near 0 to 1, linear in steps."""
    return min(1.0, (step + 1) / loss.kl_anneal_steps) if loss.kl_anneal_steps else 1.0


def clip_gradients(parameters: Sequence[torch.nn.Parameter], config: StepSettings) -> torch.Tensor:
    """Shorten gradients in place, as ``config.clip_kind`` says.

    Returns:
        The norm of all gradients together, before clipping.
    """
    if config.clip_kind == "norm":
        return torch.nn.utils.clip_grad_norm_(parameters, config.clip)
    return clip_adaptively(parameters, config.adaptive_clip)


@torch.no_grad()
def clip_adaptively(parameters: Sequence[torch.nn.Parameter], share: float) -> torch.Tensor:
    """No gradient longer than ``share`` of the weights it moves.

    Adaptive gradient clipping of Brock et al. 2021 (arXiv 2102.06171), tensor by tensor as in
    DreamerV3 (arXiv 2301.04104) rather than row by row.

    Returns:
        The norm of all gradients together, before clipping.
    """
    pairs = [(p, p.grad) for p in parameters if p.grad is not None]
    gradients = [gradient for _, gradient in pairs]
    norms = torch.stack(torch._foreach_norm(gradients))
    weights = torch.stack(torch._foreach_norm([p for p, _ in pairs])).clamp_min(ADAPTIVE_FLOOR)
    factors = (share * weights / norms.clamp_min(1e-12)).clamp_max(1.0)
    for gradient, factor in zip(gradients, factors.unbind(), strict=True):
        gradient.mul_(factor)
    return norms.norm()
