"""Deterministic cores: how the latent's memory moves one step. Three kinds, one interface.

A core turns an input and what it remembers into the next ``deter``. The two GRUs remember ``deter``
alone. The transformer remembers the keys and values of the last W steps and can run over a whole
window at once.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.attention import TransformerLayer
from wm_dynamics.config import ModelConfig


class Core(nn.Module):
    """Interface of the cores.

    Attributes:
        parallel: a window is computed at once; posteriors then may not read ``deter``.
    """

    parallel = False

    def initial_memory(self, batch: int) -> torch.Tensor | None:
        """What a fresh belief remembers beside ``deter``: (batch, ...) or None."""
        return None

    def forward(
        self, x: torch.Tensor, deter: torch.Tensor, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x (B, inputs), deter (B, D), memory -> next deter (B, D) float32, next memory."""
        raise NotImplementedError


class NormGRUCell(Core):
    """GRU cell with one fused linear layer and LayerNorm before the gates (DreamerV2/V3)."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.linear = nn.Linear(inputs + width, 3 * width, bias=False)
        self.norm = nn.LayerNorm(3 * width)

    def forward(
        self, x: torch.Tensor, deter: torch.Tensor, memory: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, None]:
        """See :class:`Core`."""
        gates = self.norm(self.linear(torch.cat([x, deter], -1)))
        return gate(deter, *gates.float().chunk(3, -1)), None


def gate(
    deter: torch.Tensor, reset: torch.Tensor, candidate: torch.Tensor, update: torch.Tensor
) -> torch.Tensor:
    """Apply the three gates of a GRU, each (B, D) before its squashing, to deter (B, D)."""
    candidate = torch.tanh(torch.sigmoid(reset) * candidate)
    # The -1 makes a fresh cell remember (DreamerV2, "update bias").
    return torch.lerp(deter, candidate, torch.sigmoid(update - 1.0))


class BlockLinear(nn.Module):
    """A linear layer for each block of the features.

    The weights lie as (blocks, inputs, outputs): one batched matrix product, many times faster
    than an einsum over another layout.
    """

    def __init__(self, blocks: int, inputs: int, outputs: int):
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(blocks, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(blocks, 1, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(blocks, B, inputs) -> (blocks, B, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


class BlockGRUCell(Core):
    """GRU with block-diagonal recurrent weights and RMSNorm.

    After DreamerV3 (Hafner et al. 2023, arXiv 2301.04104, "block GRU"): each block reads its own
    slice of the state, the input and a low-rank summary of the whole state, through one hidden
    layer; so a wide state costs little.
    """

    def __init__(self, inputs: int, width: int, blocks: int):
        super().__init__()
        self.blocks = blocks
        slice_width = width // blocks
        self.summary = nn.Linear(width, inputs, bias=False)
        self.summary_norm = nn.RMSNorm(inputs)
        self.hidden = BlockLinear(blocks, slice_width + 2 * inputs, slice_width)
        self.hidden_norm = nn.RMSNorm(width)
        self.gates = BlockLinear(blocks, slice_width, 3 * slice_width)

    def forward(
        self, x: torch.Tensor, deter: torch.Tensor, memory: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, None]:
        """See :class:`Core`."""
        dtype = self.summary.weight.dtype  # reduced in rollouts
        summary = F.silu(self.summary_norm(self.summary(deter.to(dtype)).to(dtype)))
        shared = torch.cat([x.to(dtype), summary], -1).expand(self.blocks, -1, -1)
        own = deter.to(dtype).unflatten(-1, (self.blocks, -1)).transpose(0, 1)
        hidden = self._join(self.hidden(torch.cat([own, shared], -1))).to(dtype)
        hidden = F.silu(self.hidden_norm(hidden)).unflatten(-1, (self.blocks, -1)).transpose(0, 1)
        reset, candidate, update = self.gates(hidden).float().chunk(3, -1)
        return gate(deter, self._join(reset), self._join(candidate), self._join(update)), None

    @staticmethod
    def _join(x: torch.Tensor) -> torch.Tensor:
        """(blocks, B, X) -> (B, blocks * X)."""
        return x.transpose(0, 1).flatten(-2)


class TransformerCore(Core):
    """Causal transformer over the last W steps.

    After TransDreamer (Chen et al. 2022, arXiv 2202.09481) and STORM (Zhang et al. 2023, arXiv
    2310.09615): one token per step made of stochastic state and action, the posterior reads the
    observation alone. Each layer looks at the W steps before and at the present one; position
    enters as a learned bias by distance, so that keys and values stay valid as time goes on and
    the cached computation is the same as the uncached. A belief that has seen fewer than W steps
    remembers learned ones.
    """

    parallel = True

    def __init__(self, inputs: int, width: int, layers: int, heads: int, window: int):
        super().__init__()
        self.window = window
        self.inp = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.distance = nn.Parameter(torch.zeros(layers, heads, window + 1))  # 0 = present step
        self.start = nn.Parameter(0.1 * torch.randn(layers, 2, heads, window, width // heads))

    def initial_memory(self, batch: int) -> torch.Tensor:
        """(batch, layers, 2, heads, W, D / heads), keys and values."""
        return self.start.expand(batch, *self.start.shape)

    def forward(
        self, x: torch.Tensor, deter: torch.Tensor, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Core`; the memory is (B, layers, 2, heads, W, D / heads)."""
        following, memory = self.sequence(x[:, None], memory)
        return following[:, 0], memory[..., 1:, :]

    def sequence(
        self, x: torch.Tensor, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A window at once.

        Args:
            x: (B, T, inputs).
            memory: (B, layers, 2, heads, W, D / heads) before the window.

        Returns:
            deter (B, T, D) float32, and keys and values (B, layers, 2, heads, W + T, D / heads);
            the memory after step t is the W entries from ``t + 1``.
        """
        assert memory is not None, "a transformer's belief has a memory"
        token = self.inp(x)
        bias = self.bias(x.shape[1])
        caches = []
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, TransformerLayer)
            query, key, value = layer.project(token)
            new = torch.stack([key, value], 1)
            cache = torch.cat([memory[:, i].to(new.dtype), new], -2)
            token = layer.mix(token, query, cache[:, 0], cache[:, 1], bias[i])
            caches.append(cache)
        return self.norm(token).float(), torch.stack(caches, 1).float()

    def bias(self, steps: int) -> torch.Tensor:
        """(layers, heads, T, W + T): learned by distance, -inf ahead and beyond W steps ago."""
        device, window = self.distance.device, self.window
        now = torch.arange(steps, device=device)[:, None] + window
        ago = now - torch.arange(window + steps, device=device)
        bias = self.distance[..., ago.clamp(0, window)]
        return bias.masked_fill((ago < 0) | (ago > window), -math.inf)


def make_core(config: ModelConfig) -> Core:
    """The deterministic core of ``config``; its input is ``config.hidden`` wide."""
    if config.core == "block_gru":
        return BlockGRUCell(config.hidden, config.deter, config.core_blocks)
    if config.core == "transformer":
        layers, heads, window = config.core_layers, config.core_heads, config.core_window
        return TransformerCore(config.hidden, config.deter, layers, heads, window)
    return NormGRUCell(config.hidden, config.deter)
