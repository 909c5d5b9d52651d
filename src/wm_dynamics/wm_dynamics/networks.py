"""Building blocks: perceptron, LayerNorm GRU cell, bird's-eye-view encoder and mask decoder."""

from __future__ import annotations

import torch
from torch import nn

from wm_dynamics.config import ModelConfig


def perceptron(inputs: int, hidden: int, outputs: int, layers: int = 1) -> nn.Sequential:
    """``layers`` hidden layers with LayerNorm and SiLU, then a linear output."""
    blocks: list[nn.Module] = []
    for _ in range(layers):
        blocks += [nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.SiLU()]
        inputs = hidden
    return nn.Sequential(*blocks, nn.Linear(inputs, outputs))


class NormGRUCell(nn.Module):
    """GRU cell with one fused linear layer and LayerNorm before the gates (DreamerV2/V3)."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.linear = nn.Linear(inputs + width, 3 * width, bias=False)
        self.norm = nn.LayerNorm(3 * width)

    def forward(self, x: torch.Tensor, deter: torch.Tensor) -> torch.Tensor:
        """x (B, inputs), deter (B, D) -> next deter (B, D) in float32."""
        gates = self.norm(self.linear(torch.cat([x, deter], -1)))
        reset, candidate, update = gates.float().chunk(3, -1)
        candidate = torch.tanh(torch.sigmoid(reset) * candidate)
        # The -1 makes a fresh cell remember (DreamerV2, "update bias").
        return torch.lerp(deter, candidate, torch.sigmoid(update - 1.0))


class VectorEncoder(nn.Module):
    """Standardised state and route -> features.

    The nearest way points vary by centimetres, the farthest by tens of metres; without
    standardising, the offset from the route is lost. The buffers belong to the data and are set
    once, before training.
    """

    mean: torch.Tensor  # (inputs,)
    std: torch.Tensor  # (inputs,)

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.SiLU(),
        )  # fmt: skip

    def standardise(self, values: torch.Tensor) -> None:
        """Take mean and spread from data (F, inputs)."""
        self.mean.copy_(values.mean(0))
        self.std.copy_(values.std(0).clamp_min(1e-3))

    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        """vector (B, inputs) -> (B, hidden); inputs beyond 5 standard deviations are clipped."""
        return self.net(((vector - self.mean) / self.std).clamp(-5.0, 5.0))


class Encoder(nn.Module):
    """Masks, state and route -> embedding (B, embed). A 4x4 patch stem keeps it cheap."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        channels = config.cnn_channels
        self.cnn = nn.Sequential(
            nn.Conv2d(config.bev_channels, channels, 4, 4), nn.SiLU(),
            nn.Conv2d(channels, 64, 4, 2, 1), nn.SiLU(),
            nn.Conv2d(64, 64, 4, 2, 1), nn.SiLU(),
            nn.Flatten(),
        )  # fmt: skip
        flat = 64 * (config.bev_size // 16) ** 2
        self.vector = VectorEncoder(config.state_dim + config.route_dim, config.vector_hidden)
        self.out = nn.Sequential(
            nn.Linear(flat + config.vector_hidden, config.embed),
            nn.LayerNorm(config.embed),
            nn.SiLU(),
        )

    def forward(self, bev: torch.Tensor, state: torch.Tensor, route: torch.Tensor) -> torch.Tensor:
        """bev (B, C, S, S) 0/1, state (B, 5), route (B, R) -> (B, embed)."""
        vector = self.vector(torch.cat([state, route], -1))
        return self.out(torch.cat([self.cnn(bev), vector], -1))


class Decoder(nn.Module):
    """Latent features -> mask logits at half resolution, (B, C, S/2, S/2)."""

    def __init__(self, features: int, channels: int, bev_channels: int, bev_size: int):
        super().__init__()
        self.side = bev_size // 16
        self.inp = nn.Linear(features, 64 * self.side**2)
        self.net = nn.Sequential(
            nn.SiLU(),
            nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(64, channels, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(channels, bev_channels, 4, 2, 1),
        )  # fmt: skip

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """features (B, D + G*C) -> logits (B, C, S/2, S/2)."""
        return self.net(self.inp(features).unflatten(1, (64, self.side, self.side)))
