"""Deterministic cores laid out for rollouts: large products in a reduced type, no gradients.

Each holds copies of the weights. ``begin`` takes a belief's memory and returns what the rollout
carries along; ``step`` advances all candidates by one step.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

import torch
from torch import nn

from wm_dynamics.cores import BlockGRUCell, Core, NormGRUCell, TransformerCore, gate


def cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy in another type, without gradients."""
    return copy.deepcopy(module).to(dtype).requires_grad_(False)


class FastCore(Protocol):
    """What the imagination loop needs of a core."""

    def begin(self, memory: torch.Tensor | None, n: int, horizon: int) -> Any:
        """What a rollout of ``n`` candidates over ``horizon`` steps carries beside ``deter``."""

    def step(self, x: torch.Tensor, deter: torch.Tensor, carry: Any, t: int) -> torch.Tensor:
        """x (N, hidden), deter (N, D) -> deter (N, D) float32 after step ``t``."""


class FastGRU:
    """Of :class:`~wm_dynamics.cores.NormGRUCell`; norm and gates stay float32."""

    def __init__(self, core: NormGRUCell, dtype: torch.dtype):
        self.dtype = dtype
        self.gates = cast(core.linear, dtype)
        self.norm = core.norm

    def begin(self, memory: torch.Tensor | None, n: int, horizon: int) -> None:
        """Nothing to carry."""

    def step(self, x: torch.Tensor, deter: torch.Tensor, carry: None, t: int) -> torch.Tensor:
        """See :class:`FastCore`."""
        gates = self.gates(torch.cat([x, deter], -1).to(self.dtype))
        return gate(deter, *self.norm(gates.float()).chunk(3, -1))


class FastBlockGRU:
    """Of :class:`~wm_dynamics.cores.BlockGRUCell`; the gates stay float32."""

    def __init__(self, core: BlockGRUCell, dtype: torch.dtype):
        self.cell = cast(core, dtype)

    def begin(self, memory: torch.Tensor | None, n: int, horizon: int) -> None:
        """Nothing to carry."""

    def step(self, x: torch.Tensor, deter: torch.Tensor, carry: None, t: int) -> torch.Tensor:
        """See :class:`FastCore`."""
        return self.cell(x, deter, None)[0]


class FastTransformer:
    """Of :class:`~wm_dynamics.cores.TransformerCore`, with cached keys and values."""

    def __init__(self, core: TransformerCore, dtype: torch.dtype):
        self.dtype, self.window = dtype, core.window
        self.inp = cast(core.inp, dtype)
        self.layers: Any = cast(core.layers, dtype)
        self.norm = core.norm
        self.bias = core.bias(1).detach().to(dtype)  # (layers, heads, 1, W + 1)

    def begin(self, memory: torch.Tensor | None, n: int, horizon: int) -> torch.Tensor:
        """Room for all keys and values of the rollout, (layers, 2, N, heads, W + H, D / heads)."""
        assert memory is not None, "a transformer's belief has a memory"
        layers, two, heads, window, width = memory.shape[1:]
        shape = (layers, two, n, heads, window + horizon, width)
        cache = memory.new_empty(shape, dtype=self.dtype)
        cache[..., :window, :] = memory.movedim(0, 2)
        return cache

    def step(
        self, x: torch.Tensor, deter: torch.Tensor, carry: torch.Tensor, t: int
    ) -> torch.Tensor:
        """See :class:`FastCore`."""
        token = self.inp(x[:, None].to(self.dtype))
        last = t + self.window
        for i, layer in enumerate(self.layers):
            query, key, value = layer.project(token)
            carry[i, 0, :, :, last] = key[:, :, 0]
            carry[i, 1, :, :, last] = value[:, :, 0]
            keys, values = carry[i, ..., t : last + 1, :]
            token = layer.mix(token, query, keys, values, self.bias[i])
        return self.norm(token[:, 0].float())


def fast_core(core: Core, dtype: torch.dtype) -> FastCore:
    """The rollout layout of ``core``, large products in ``dtype``."""
    if isinstance(core, BlockGRUCell):
        return FastBlockGRU(core, dtype)
    if isinstance(core, TransformerCore):
        return FastTransformer(core, dtype)
    assert isinstance(core, NormGRUCell), "every core has a rollout layout"
    return FastGRU(core, dtype)
