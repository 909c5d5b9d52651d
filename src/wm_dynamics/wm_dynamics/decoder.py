"""Latent features back to what was seen, at half resolution: masks and camera images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.config import CameraConfig


class Decoder(nn.Module):
    """Latent features -> image or mask logits at half resolution, (M, outputs, h/2, w/2).

    With ``full``, at full resolution: the last layer then draws patches of 4x4 pixels at once, as
    the encoder's first layer reads them.
    """

    def __init__(
        self,
        features: int,
        channels: int,
        outputs: int,
        height: int,
        width: int,
        full: bool = False,
    ):
        super().__init__()
        self.height, self.width = height // 16, width // 16
        self.inp = nn.Linear(features, 64 * self.height * self.width)
        layers: list[nn.Module] = [
            nn.SiLU(),
            nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(64, channels, 4, 2, 1), nn.SiLU(),
        ]  # fmt: skip
        if full:
            layers += [nn.Conv2d(channels, 16 * outputs, 1), nn.PixelShuffle(4)]
        else:
            layers += [nn.ConvTranspose2d(channels, outputs, 4, 2, 1)]
        self.net = nn.Sequential(*layers)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """features (M, D + width of stoch) -> (M, outputs, h/2, w/2), or full size."""
        return self.net(self.inp(features).unflatten(1, (64, self.height, self.width)))


class CameraDecoder(nn.Module):
    """Images of all cameras by one network that is told which camera to draw."""

    def __init__(self, features: int, channels: int, config: CameraConfig):
        super().__init__()
        self.cameras = len(config.names)
        self.camera = nn.Parameter(0.1 * torch.randn(self.cameras, features))
        size = (config.height, config.width)
        self.net = Decoder(features, channels, 3, *size, full=config.draw_full)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """features (M, X) -> (M, cameras, 3, h/2, w/2), values as ``streams.image_input`` has.

        (M, cameras, 3, h, w) with ``draw_full``.
        """
        rows = (features[:, None] + self.camera).flatten(0, 1)
        return self.net(rows).unflatten(0, (-1, self.cameras))


def image_error(drawn: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Squared error against the images, averaged to the resolution that was drawn.

    Args:
        drawn: (M, cameras, 3, h/2, w/2) or (M, cameras, 3, h, w).
        images: (M, cameras, 3, h, w).

    Returns:
        (M,) sum over colours and cameras of the mean over pixels.
    """
    target = drawn_size(images, drawn).float()
    error = F.mse_loss(drawn.float(), target, reduction="none")
    return error.mean((-1, -2)).sum((-1, -2))


def drawn_size(images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """images (M, cameras, 3, h, w) averaged to the resolution of ``drawn``."""
    factor = images.shape[-1] // drawn.shape[-1]
    if factor == 1:
        return images
    return F.avg_pool2d(images.flatten(0, 1), factor).unflatten(0, images.shape[:2])
