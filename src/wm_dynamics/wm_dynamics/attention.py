"""Transformer layers, shared by the vision transformer and the transformer dynamics."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class TransformerLayer(nn.Module):
    """Pre-norm attention and perceptron, each added to its input (Vaswani 2017, Xiong 2020)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attend_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attend_out = nn.Linear(width, width)
        self.net_norm = nn.LayerNorm(width)
        self.net = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x (M, T, width) -> query, key, value, each (M, heads, T, width / heads)."""
        parts = self.query_key_value(self.attend_norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.movedim(1, -2).unbind(1)
        return query, key, value

    def mix(
        self,
        x: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attend and finish the layer.

        Args:
            x: (M, T, width) input of the layer.
            query: (M, heads, T, width / heads).
            key, value: (M, heads, X, width / heads), of all that is attended to.
            bias: (heads, T, X) added to the attention logits; -inf hides.
        """
        if bias is not None:
            bias = bias.to(query.dtype)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.attend_out(attended.transpose(1, 2).flatten(-2))
        return x + self.net(self.net_norm(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (M, T, width), every token sees every other -> the same shape."""
        return self.mix(x, *self.project(x))
