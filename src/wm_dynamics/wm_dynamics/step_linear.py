"""Linear maps inside a time loop: their weight gradients taken once, after the loop's backward.

Autograd adds up a weight's gradient step by step: at T = 64 steps of B = 16 rows that is 64 thin
products, each as large as the weight, and 64 sums over memory. Here a step's backward gives the
gradient of its input only and lays (input, output gradient) aside; when all steps are through, one
product over all T * B rows gives the gradient of the weight. Under autocast the weight is cast once
for all steps and the sum over steps is taken in float32 instead of bfloat16.
"""

from __future__ import annotations

from typing import Any

import torch

Tape = list[tuple[torch.Tensor, torch.Tensor]]  # (rows in, gradient of rows out) of each step


def loop_dtype(weight: torch.Tensor) -> torch.dtype:
    """Type of the products of a loop: what autocast asks for, or else the weights' own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


class _Weights(torch.autograd.Function):
    """Weight and bias in the loop's type; their gradients come from the tape."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, bias: torch.Tensor | None, tape: Tape, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        ctx.tape, ctx.bias_shape = tape, None if bias is None else bias.shape
        # Copies, not the parameters themselves: what a function returns has a graph of its own.
        return weight.to(dtype, copy=True), None if bias is None else bias.to(dtype, copy=True)

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        rows, grads = (torch.cat(x, -2) for x in zip(*ctx.tape, strict=True))
        ctx.tape.clear()  # a second backward starts anew
        bias = None
        if ctx.bias_shape is not None:
            bias = grads.sum(-2, dtype=torch.float32).view(ctx.bias_shape)
        return (grads.mT @ rows).mT.float(), bias, None, None


class _Product(torch.autograd.Function):
    """rows @ weight + bias, leaving the gradients of both to the tape."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        tape: Tape,
    ) -> torch.Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.tape = tape
        if bias is None:
            return rows @ weight
        return (torch.addmm if weight.dim() == 2 else torch.baddbmm)(bias, rows, weight)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        ctx.tape.append((rows, grad))
        return grad @ weight.mT if ctx.needs_input_grad[0] else None, None, None, None


class StepLinear:
    """rows @ weight + bias for the steps of one loop.

    Args:
        weight: (inputs, outputs), or (blocks, inputs, outputs) for a product per block.
        bias: (outputs,) or (blocks, 1, outputs), or None.
        dtype: of the products.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype):
        self.dtype = dtype
        self.tape: Tape = []
        self.weight, self.bias = _Weights.apply(weight, bias, self.tape, dtype)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, inputs) -> (B, outputs), or the same with blocks in front; in ``dtype``."""
        return _Product.apply(rows.to(self.dtype), self.weight, self.bias, self.tape)
