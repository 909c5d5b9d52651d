"""Networks over (N, H, ...) tensors that lie in memory step by step, without copying them.

What a loop makes lies step by step: a stack along time is (H, N, ...) in memory, whatever the order
of its dimensions. A linear layer asked for (N, H, X) of it copies it first or, without gradients,
multiplies each of the N slices by a copy of the weight: that took a third of a behaviour update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch


def by_rows(net: Callable[[torch.Tensor], torch.Tensor], values: torch.Tensor) -> torch.Tensor:
    """A network that maps rows, over values with two leading dimensions.

    Args:
        net: (M, X) -> (M, Y).
        values: (N, H, X), in memory one step or one row after the other.

    Returns:
        (N, H, Y), in memory as ``values``.
    """
    steps_first = values.stride(0) < values.stride(1)
    if steps_first:
        values = values.transpose(0, 1)
    mapped = net(values.flatten(0, 1)).unflatten(0, values.shape[:2])
    return mapped.transpose(0, 1) if steps_first else mapped


def stack_steps(steps: Sequence[torch.Tensor]) -> torch.Tensor:
    """H tensors (N, ...) -> (N, H, ...), in memory step by step."""
    return torch.stack(tuple(steps)).transpose(0, 1)
