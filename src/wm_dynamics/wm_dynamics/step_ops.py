"""Element-wise parts of a recurrent step as single nodes of the graph, gradients by hand.

Every operation costs the same few microseconds at 16 rows, whatever it computes; what matters in a
time loop is how many there are. Sums and squashings are float32 whatever comes in.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

# Numbers of a state worked on at once: with its gates a megabyte of float32, which stays in a
# core's cache from one operation to the next. A step of 1024 imagined rows is 32 times as much.
PIECE = 2**16


def _tanh_(x: torch.Tensor, exact: bool) -> torch.Tensor:
    """In place; else by the logistic function, 1e-7 off, which takes a fifth of the time here."""
    return x.tanh_() if exact else x.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)


def gru_gate_rounded(
    deter: torch.Tensor,
    gates: torch.Tensor,
    bias: torch.Tensor | float = 0.0,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """:func:`gru_gate` of gates in a reduced type, without gradients: piece by piece, in place.

    Args:
        deter, gates: see :func:`gru_gate`.
        bias: of the gates, (3 * W,) float32.
        out: where to put the result.
    """
    out = torch.empty_like(deter) if out is None else out
    size = max(1, PIECE // deter[0].numel())
    for before, piece, after in zip(*(x.split(size) for x in (deter, gates, out)), strict=True):
        reset, candidate, update = piece.to(deter.dtype).add_(bias).chunk(3, -1)
        proposed = _tanh_(candidate.mul_(reset.sigmoid_()), exact=False)
        torch.lerp(before, proposed, update.sub_(1.0).sigmoid_(), out=after)
    return out


class _Gate(torch.autograd.Function):
    """The three gates of a GRU."""

    @staticmethod
    def forward(ctx: Any, deter: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        exact = gates.dtype == deter.dtype  # what was rounded before needs no better
        if not exact and not any(ctx.needs_input_grad):
            return gru_gate_rounded(deter, gates)
        raw = gates.to(deter.dtype)
        reset, candidate, update = raw.chunk(3, -1)
        opened = torch.sigmoid(reset)
        proposed = _tanh_(opened * candidate, exact)
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


def _norm_silu_rounded(
    x: torch.Tensor, weight: torch.Tensor, dims: tuple[int, ...], eps: float
) -> torch.Tensor:
    """Of features in a reduced type, without gradients: in place, and piece by piece."""
    out = torch.empty_like(x)
    size = max(1, PIECE * x.shape[-2] // x.numel())
    for piece, after in zip(x.split(size, -2), out.split(size, -2), strict=True):
        full = piece.to(weight.dtype)
        scale = (full.square().mean(dims, keepdim=True) + eps).rsqrt()
        after.copy_(F.silu(full.mul_(scale).mul_(weight), inplace=True))
    return out


class _NormSiLU(torch.autograd.Function):
    """SiLU of the root-mean-square norm."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, dims: tuple[int, ...], eps: float
    ) -> torch.Tensor:
        if x.dtype != weight.dtype and not any(ctx.needs_input_grad):
            return _norm_silu_rounded(x, weight, dims, eps)
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
