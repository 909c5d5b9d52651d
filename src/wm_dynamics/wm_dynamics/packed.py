"""Networks for one row at a time: weights packed once, in bfloat16, as the processor wants them.

To filter and to act is to read all weights once for a single row. What that takes is memory: half
of it in bfloat16, and no more than that if the weights already lie as the matrix unit takes them;
a plain layer has them rearranged at every call. The products are those of training under autocast:
inputs, weights and outputs rounded to bfloat16, sums in float32. Norms stay as they are.

Uses the operators of oneDNN by which PyTorch itself runs compiled models on a CPU. Where they are
missing, or the processor does not multiply bfloat16, nothing is packed.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.cores import BlockGRUCell, BlockLinear, Core, gate

Net = TypeVar("Net", bound=nn.Module)
DTYPE = torch.bfloat16
WORTH = 2**18  # weights of a linear layer; fewer are read before a packed one has begun
OPERATORS = ("_linear_pointwise", "_convolution_pointwise", "_reorder_linear_weight",
             "_reorder_convolution_weight")  # fmt: skip


def can_pack(device: torch.device) -> bool:
    """Whether this machine gains from it."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    there = all(hasattr(torch.ops.mkldnn, name) for name in OPERATORS)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and there and supported()


def share_weights(net: Net, keep: tuple[object, ...] = ()) -> Net:
    """A copy of a network that has the same weights, not copies of them.

    Args:
        net: to copy.
        keep: other objects it refers to that are not copied either.
    """
    shared = itertools.chain(net.parameters(), net.buffers(), keep)
    return copy.deepcopy(net, {id(x): x for x in shared})


def packed(net: Net) -> Net:
    """A copy of ``net`` for inference, its linear layers and convolutions packed where possible.

    The copy shares all weights with ``net``, and packs those there are now: it is stale after any
    training step. It has no gradients.
    """
    clone = share_weights(net)
    if can_pack(next(net.parameters()).device):
        _pack_children(clone)
    return clone


def _pack_children(net: nn.Module) -> None:
    """In place, all the way down."""
    for name, layer in net.named_children():
        if type(layer) is nn.Linear and layer.weight.numel() >= WORTH:
            setattr(net, name, PackedLinear(layer))
        elif type(layer) is nn.Conv2d:
            setattr(net, name, PackedConvs([layer], silu=False))
        elif type(layer) is BlockGRUCell:
            setattr(net, name, PackedBlockGRU(layer))
        elif type(layer) is nn.Sequential and _is_convolutions(layer):
            setattr(net, name, PackedConvs([c for c in layer if isinstance(c, nn.Conv2d)], True))
        else:
            _pack_children(layer)


def _is_convolutions(net: nn.Sequential) -> bool:
    """Whether it is convolutions, each with a SiLU after it, flattened at the end."""
    *layers, last = net
    kinds = [type(layer) for layer in layers]
    count = len(layers) // 2
    return count > 0 and type(last) is nn.Flatten and kinds == [nn.Conv2d, nn.SiLU] * count


class PackedLinear(nn.Linear):
    """Of a linear layer."""

    def __init__(self, layer: nn.Linear):
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        reorder = torch.ops.mkldnn._reorder_linear_weight
        self.packed = reorder(layer.weight.detach().to(DTYPE), 1)  # best for one row
        self.offset = None if layer.bias is None else layer.bias.detach().to(DTYPE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., inputs) -> (..., outputs)."""
        run = torch.ops.mkldnn._linear_pointwise
        return run(x.to(DTYPE), self.packed, self.offset, "none", [], "").to(x.dtype)


class _Convolution:
    """A packed convolution.

    Args:
        weight: (outputs, inputs / groups, h, w).
        bias: (outputs,) or None.
        geometry: padding, stride, dilation and groups.
        silu: what comes out is put through a SiLU.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, geometry: tuple, silu: bool
    ):
        self.geometry, self.activation = geometry, "swish" if silu else "none"
        reorder = torch.ops.mkldnn._reorder_convolution_weight
        self.packed = reorder(weight.detach().to(DTYPE), *geometry)
        self.bias = None if bias is None else bias.detach().to(DTYPE)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x (M, inputs, h, w) -> (M, outputs, ...), both bfloat16."""
        run = torch.ops.mkldnn._convolution_pointwise
        return run(x, self.packed, self.bias, *self.geometry, self.activation, [], "")


class PackedConvs(nn.Module):
    """Of convolutions one after the other; with ``silu`` as :func:`_is_convolutions` has them."""

    def __init__(self, layers: Sequence[nn.Conv2d], silu: bool):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.flatten = silu
        self.steps = [
            _Convolution(c.weight, c.bias, (c.padding, c.stride, c.dilation, c.groups), silu)
            for c in layers
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (M, channels, h, w) -> as the layers."""
        y = x.to(DTYPE)
        for step in self.steps:
            y = step(y)
        y = y.to(x.dtype)
        return y.flatten(1) if self.flatten else y


class PackedBlockGRU(Core):
    """Of :class:`~wm_dynamics.cores.BlockGRUCell`; a layer of blocks is a grouped convolution."""

    def __init__(self, core: BlockGRUCell):
        super().__init__()
        self.plain, self.blocks = core, core.blocks
        self.summary = PackedLinear(core.summary)
        self.hidden, self.gates = (self._layer(x) for x in (core.hidden, core.gates))

    def _layer(self, layer: BlockLinear) -> _Convolution:
        kernel = layer.weight.mT.flatten(0, 1)[..., None, None]
        return _Convolution(
            kernel, layer.bias.flatten(), ((0, 0), (1, 1), (1, 1), self.blocks), False
        )

    def forward(
        self, x: torch.Tensor, deter: torch.Tensor, memory: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, None]:
        """See :class:`~wm_dynamics.cores.Core`."""
        summary = F.silu(self.plain.summary_norm(self.summary(deter)))
        shared = torch.cat([x, summary], -1)[:, None].expand(-1, self.blocks, -1)
        own = deter.unflatten(-1, (self.blocks, -1))  # (B, blocks, D / blocks)
        hidden = self._run(self.hidden, torch.cat([own, shared], -1).flatten(1))
        hidden = F.silu(self.plain.hidden_norm(hidden))
        gates = self._run(self.gates, hidden).unflatten(-1, (self.blocks, -1))
        return gate(own, *gates.chunk(3, -1)).flatten(1), None

    @staticmethod
    def _run(layer: _Convolution, rows: torch.Tensor) -> torch.Tensor:
        """rows (B, blocks * inputs) -> (B, blocks * outputs)."""
        return layer(rows.to(DTYPE)[..., None, None]).flatten(1).to(rows.dtype)
