"""Building blocks: perceptron, CNNs, vision transformer, vector encoder."""

from __future__ import annotations

import torch
from torch import nn

from wm_dynamics.attention import TransformerLayer
from wm_dynamics.config import CameraConfig


def perceptron(inputs: int, hidden: int, outputs: int, layers: int = 1) -> nn.Sequential:
    """``layers`` hidden layers with LayerNorm and SiLU, then a linear output."""
    blocks: list[nn.Module] = []
    for _ in range(layers):
        blocks += [nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.SiLU()]
        inputs = hidden
    return nn.Sequential(*blocks, nn.Linear(inputs, outputs))


def patch_cnn(inputs: int, channels: int) -> nn.Sequential:
    """(M, inputs, h, w) -> (M, 64 * h/16 * w/16). A 4x4 patch stem keeps it cheap."""
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 4, 4), nn.SiLU(),
        nn.Conv2d(channels, 64, 4, 2, 1), nn.SiLU(),
        nn.Conv2d(64, 64, 4, 2, 1), nn.SiLU(),
        nn.Flatten(),
    )  # fmt: skip


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, normalised before (He et al. 2016, 1603.05027)."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(M, channels, h, w) -> the same shape."""
        inner = self.first(nn.functional.silu(self.norm(x)))
        return x + self.second(nn.functional.silu(inner))


RESIDUAL_OUT = 24  # channels of the last grid: few, or a dense layer learns towns by heart


def residual_cnn(inputs: int, channels: int) -> nn.Sequential:
    """(M, inputs, h, w) -> (M, RESIDUAL_OUT * h/16 * w/16).

    Sees lamps and brake lights of two pixels: the first step halves the picture, not quarters it.
    """
    stages: list[nn.Module] = [nn.Conv2d(inputs, channels // 2, 4, 2, 1), nn.SiLU()]
    width = channels // 2
    for wider in (channels, 2 * channels, 3 * channels):
        stages += [nn.Conv2d(width, wider, 4, 2, 1), ResidualBlock(wider)]
        width = wider
    return nn.Sequential(
        *stages,
        nn.GroupNorm(8, width), nn.SiLU(),
        nn.Conv2d(width, RESIDUAL_OUT, 1), nn.Flatten(),
    )  # fmt: skip


class VisionTransformer(nn.Module):
    """Small ViT (Dosovitskiy et al. 2020, arXiv 2010.11929): patches, few layers, mean over tokens.

    Args:
        config: sizes; every patch is a token, with a learned position.
    """

    def __init__(self, config: CameraConfig):
        super().__init__()
        patch, width = config.vit_patch, config.vit_width
        tokens = (config.height // patch) * (config.width // patch)
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.layers = nn.Sequential(
            *(TransformerLayer(width, config.vit_heads) for _ in range(config.vit_layers))
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """image (M, 3, h, w) -> (M, vit_width)."""
        tokens = self.patches(image).flatten(2).transpose(1, 2) + self.position
        return self.norm(self.layers(tokens)).mean(1)


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

    def forward(
        self,
        vector: torch.Tensor,
        present: torch.Tensor | None = None,
        missing: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """vector (M, inputs) -> (M, hidden); inputs beyond 5 standard deviations are clipped.

        Args:
            vector: what was measured.
            present: (M, inputs) False where nothing was measured; None: everything was.
            missing: (inputs,) standardised values that stand for "not measured".
        """
        scaled = ((vector - self.mean) / self.std).clamp(-5.0, 5.0)
        if present is not None:
            assert missing is not None, "something must stand for what is missing"
            scaled = torch.where(present, scaled, missing)
        return self.net(scaled)
