"""Recurrent cores laid out for the time loop of training; the same computation as ``cores``.

``begin`` takes deter (B, D) to what the loop carries, ``step`` advances it, ``flat`` gives it back
as rows. Weight gradients are taken once per loop, see :mod:`wm_dynamics.step_linear`.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional as F

from wm_dynamics.cores import BlockGRUCell, Core, NormGRUCell
from wm_dynamics.step_linear import StepLinear
from wm_dynamics.step_ops import gru_gate, gru_gate_rounded, norm_silu


class LoopCore(Protocol):
    """What a loop needs of a core."""

    def begin(self, deter: torch.Tensor) -> torch.Tensor:
        """deter (B, D) -> the same as the loop carries it."""

    def step(self, x: torch.Tensor, carry: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """x (B, hidden), the carry, the same as rows (B, D) in the loop's type -> next carry."""

    def flat(self, carry: torch.Tensor) -> torch.Tensor:
        """Carries (..., as ``step`` gives them) -> (..., B, D)."""


class LoopGRU:
    """Of :class:`~wm_dynamics.cores.NormGRUCell`; carries deter itself."""

    def __init__(self, core: NormGRUCell, dtype: torch.dtype):
        self.gates = StepLinear(core.linear.weight.mT, None, dtype)
        self.norm = core.norm

    def begin(self, deter: torch.Tensor) -> torch.Tensor:
        """See :class:`LoopCore`."""
        return deter

    def step(self, x: torch.Tensor, carry: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """See :class:`LoopCore`."""
        return gru_gate(carry, self.norm(self.gates(torch.cat([x, rows], -1))))

    def flat(self, carry: torch.Tensor) -> torch.Tensor:
        """See :class:`LoopCore`."""
        return carry


class LoopBlockGRU:
    """Of :class:`~wm_dynamics.cores.BlockGRUCell`; carries deter by blocks, (blocks, B, D/blocks).

    What all blocks read (the input and the summary of the state) goes through one wide product
    instead of a copy for every block.
    """

    def __init__(self, core: BlockGRUCell, dtype: torch.dtype):
        self.blocks, self.dtype = core.blocks, dtype
        width = core.gates.weight.shape[1]
        own, shared = core.hidden.weight[:, :width], core.hidden.weight[:, width:]
        self.summary = StepLinear(core.summary.weight.mT, None, dtype)
        self.summary_norm = core.summary_norm.weight
        self.own = StepLinear(own, None, dtype)
        # (blocks, X, D/blocks) -> (X, D), the bias with it.
        self.shared = StepLinear(
            shared.transpose(0, 1).flatten(1), core.hidden.bias.flatten(), dtype
        )
        self.hidden_norm = core.hidden_norm.weight.unflatten(0, (self.blocks, 1, -1))
        self.gates = StepLinear(core.gates.weight, core.gates.bias, dtype)
        self.gates_bias = core.gates.bias

    def begin(self, deter: torch.Tensor) -> torch.Tensor:
        """See :class:`LoopCore`."""
        return self._split(deter).contiguous()

    def step(self, x: torch.Tensor, carry: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """See :class:`LoopCore`."""
        summary = norm_silu(self.summary(rows), self.summary_norm)
        shared = self.shared(torch.cat([x.to(self.dtype), summary], -1))
        hidden = self.own(self._split(rows)) + self._split(shared)
        hidden = norm_silu(hidden, self.hidden_norm, (0, 2))
        if torch.is_grad_enabled() or self.dtype == carry.dtype:
            return gru_gate(carry, self.gates(hidden))
        # Block by block, which stays in the cache, and the bias where gates are float32 anyway: in
        # the product it costs a third.
        following = torch.empty_like(carry)
        for k, weight in enumerate(self.gates.weight):
            gru_gate_rounded(carry[k], hidden[k] @ weight, self.gates_bias[k], following[k])
        return following

    def flat(self, carry: torch.Tensor) -> torch.Tensor:
        """See :class:`LoopCore`."""
        return carry.transpose(-3, -2).flatten(-2)

    def _split(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (blocks, B, D/blocks), a view."""
        return rows.unflatten(-1, (self.blocks, -1)).transpose(0, 1)


def loop_core(core: Core, dtype: torch.dtype) -> LoopCore:
    """The training layout of a recurrent ``core``, products in ``dtype``."""
    if isinstance(core, BlockGRUCell):
        return LoopBlockGRU(core, dtype)
    assert isinstance(core, NormGRUCell), "a transformer runs over a window at once"
    return LoopGRU(core, dtype)


class StepPerceptron:
    """A perceptron of one hidden layer in a loop; part of its first layer may be done before.

    Args:
        net: linear, norm, activation, linear.
        width: of what comes step by step; the first columns of the first layer.
        dtype: of the products.
    """

    def __init__(self, net: torch.nn.Sequential, width: int, dtype: torch.dtype):
        first, self.norm, self.activation, last = net
        assert isinstance(first, torch.nn.Linear) and isinstance(last, torch.nn.Linear)
        known = first.weight.shape[1] > width
        self.first = StepLinear(first.weight[:, :width].mT, None if known else first.bias, dtype)
        self.later, self.bias = first.weight[:, width:], first.bias
        self.last = StepLinear(last.weight.mT, last.bias, dtype)

    def before(self, known: torch.Tensor) -> torch.Tensor:
        """What is known of all steps before the loop, (..., X) -> its share of the first layer."""
        return F.linear(known, self.later, self.bias)

    def __call__(self, rows: torch.Tensor, before: torch.Tensor | None = None) -> torch.Tensor:
        """rows (B, width) and, of this step, what ``before`` gave -> (B, outputs)."""
        first = self.first(rows)
        if before is not None:
            first = first + before
        return self.last(self.activation(self.norm(first)))
