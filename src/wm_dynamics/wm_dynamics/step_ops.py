"""Element-wise parts of a recurrent step as single nodes of the graph, gradients by hand.

Every operation costs the same few microseconds at 16 rows, whatever it computes; what matters in a
time loop is how many there are. Sums and squashings are float32 whatever comes in.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F


class _Gate(torch.autograd.Function):
    """The three gates of a GRU."""

    @staticmethod
    def forward(ctx: Any, deter: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        raw = gates.to(deter.dtype)
        reset, candidate, update = raw.chunk(3, -1)
        opened = torch.sigmoid(reset)
        proposed = (opened * candidate).tanh_()
        share = (update - 1.0).sigmoid_()
        ctx.save_for_backward(deter, raw, opened, proposed, share)
        ctx.dtype = gates.dtype
        return torch.lerp(deter, proposed, share)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        deter, raw, opened, proposed, share = ctx.saved_tensors
        out = torch.empty_like(raw)
        reset, candidate, update = out.chunk(3, -1)
        to_proposed = grad * share
        torch.mul(grad * (proposed - deter), share * (1.0 - share), out=update)
        inner = to_proposed * (1.0 - proposed * proposed)
        torch.mul(inner, opened, out=candidate)
        torch.mul(candidate * raw.chunk(3, -1)[1], 1.0 - opened, out=reset)
        return grad - to_proposed, out.to(ctx.dtype)


def gru_gate(deter: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    """As :func:`wm_dynamics.cores.gate`, with the gates side by side.

    Args:
        deter: (..., W) state.
        gates: (..., 3 * W) reset, candidate and update before their squashing.
    """
    return _Gate.apply(deter, gates)


class _NormSiLU(torch.autograd.Function):
    """SiLU of the root-mean-square norm."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, dims: tuple[int, ...], eps: float
    ) -> torch.Tensor:
        full = x.to(weight.dtype)
        scale = (full.square().mean(dims, keepdim=True) + eps).rsqrt()
        normed = full * scale
        ctx.save_for_backward(normed, scale, weight)
        ctx.dims, ctx.dtype = dims, x.dtype
        return F.silu(normed * weight).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        normed, scale, weight = ctx.saved_tensors
        inner = torch.ops.aten.silu_backward(grad.to(weight.dtype), normed * weight)
        to_weight = inner * normed
        towards = (to_weight * weight).mean(ctx.dims, keepdim=True)
        to_x = torch.addcmul(inner * weight, normed, towards, value=-1.0).mul_(scale)
        return to_x.to(ctx.dtype), to_weight.sum_to_size(weight.shape), None, None


def norm_silu(
    x: torch.Tensor,
    weight: torch.Tensor,
    dims: tuple[int, ...] = (-1,),
    eps: float = torch.finfo(torch.float32).eps,
) -> torch.Tensor:
    """silu(x / rms(x) * weight), the root mean square taken over ``dims``; in the type of ``x``.

    Args:
        x: features of rows.
        weight: (features), shaped to meet ``x``.
        dims: dimensions of ``x`` that are features.
        eps: what ``torch.nn.RMSNorm`` adds to the mean square.
    """
    return _NormSiLU.apply(x, weight, dims, eps)


class _OneHot(torch.autograd.Function):
    """Exactly one-hot forward, straight-through backward."""

    @staticmethod
    def forward(ctx: Any, probs: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(probs).scatter_(-1, index, 1.0)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad, None


def straight_through(probs: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """probs (..., C), index (..., 1) -> one-hot (..., C) with the gradient of ``probs``."""
    return _OneHot.apply(probs, index)


class _ScaleGradient(torch.autograd.Function):
    """Identity with a scaled gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad * ctx.factor, None


def scale_gradient(x: torch.Tensor, factor: float) -> torch.Tensor:
    """x, with its gradient times ``factor``."""
    return _ScaleGradient.apply(x, factor)
