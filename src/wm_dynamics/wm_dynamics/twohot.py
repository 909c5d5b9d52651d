"""Values of any scale as classes: symlog and two-hot coding (DreamerV3, arXiv 2301.04104).

A critic that regresses returns by squared error follows the largest; one that classifies them into
bins spaced evenly in symlog learns small and large returns at the same rate.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def symlog(x: torch.Tensor) -> torch.Tensor:
    """sign(x) * ln(1 + |x|), elementwise."""
    return torch.sign(x) * torch.log1p(x.abs())


def symexp(x: torch.Tensor) -> torch.Tensor:
    """Inverse of :func:`symlog`, elementwise."""
    return torch.sign(x) * torch.expm1(x.abs())


def neighbours(x: torch.Tensor, bins: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two bins around each value.

    Args:
        x: values (...); those beyond the outermost bins count as these.
        bins: (bins,) ascending, evenly spaced.

    Returns:
        Index of the lower one (...), and the weight (...) of the upper one, whose mean x is.
    """
    last = len(bins) - 1
    place = ((x.float() - bins[0]) / (bins[-1] - bins[0]) * last).clamp(0.0, last)
    below = place.floor().clamp_max(last - 1)
    return below.long(), place - below


def two_hot(x: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Weights (..., bins) whose mean over ``bins`` is x (...): all on the two neighbours of x."""
    below, share = neighbours(x, bins)
    weights = F.one_hot(below, len(bins)) * (1.0 - share)[..., None]
    return weights + F.one_hot(below + 1, len(bins)) * share[..., None]


def decode(logits: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Logits (..., bins) over symlog bins -> the value (...) they stand for."""
    return symexp(logits.float().softmax(-1) @ bins)


def cross_entropy(log_probs: torch.Tensor, x: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Of log probabilities (..., bins) against the two-hot code of x (...), in nats (...).

    The code itself, nearly all zeros, is never made.
    """
    below, share = neighbours(x, bins)
    both = log_probs.gather(-1, torch.stack([below, below + 1], -1))
    return -(both * torch.stack([1.0 - share, share], -1)).sum(-1)
