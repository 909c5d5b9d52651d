"""Latent features back to what was seen, at half resolution: masks and camera images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.config import CameraConfig


class Decoder(nn.Module):
    """Latent features -> image or mask logits at half resolution, (M, outputs, h/2, w/2)."""

    def __init__(self, features: int, channels: int, outputs: int, height: int, width: int):
        super().__init__()
        self.height, self.width = height // 16, width // 16
        self.inp = nn.Linear(features, 64 * self.height * self.width)
        self.net = nn.Sequential(
            nn.SiLU(),
            nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(64, channels, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(channels, outputs, 4, 2, 1),
        )  # fmt: skip

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """features (M, D + width of stoch) -> (M, outputs, h/2, w/2)."""
        return self.net(self.inp(features).unflatten(1, (64, self.height, self.width)))


class CameraDecoder(nn.Module):
    """Images of all cameras by one network that is told which camera to draw."""

    def __init__(self, features: int, channels: int, config: CameraConfig):
        super().__init__()
        self.cameras = len(config.names)
        self.camera = nn.Parameter(0.1 * torch.randn(self.cameras, features))
        self.net = Decoder(features, channels, 3, config.height, config.width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """features (M, X) -> (M, cameras, 3, h/2, w/2), values as ``streams.image_input`` has."""
        rows = (features[:, None] + self.camera).flatten(0, 1)
        return self.net(rows).unflatten(0, (-1, self.cameras))


def image_error(drawn: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Squared error against the images averaged to half resolution.

    Args:
        drawn: (M, cameras, 3, h/2, w/2).
        images: (M, cameras, 3, h, w).

    Returns:
        (M,) sum over colours and cameras of the mean over pixels.
    """
    target = F.avg_pool2d(images.flatten(0, 1), 2).unflatten(0, images.shape[:2])
    return (drawn.float() - target.float()).square().mean((-1, -2)).sum((-1, -2))
