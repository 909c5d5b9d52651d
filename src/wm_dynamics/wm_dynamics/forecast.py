"""Sharp pictures of imagined moments: the last seen masks, moved, and corrected by the latent.

A latent state of a few hundred numbers says what matters for driving; it does not hold the outline
of every car. What was seen last does. So imagined masks are drawn as video prediction does with
skip connections from the last real frame (Denton and Fergus 2018, "Stochastic video generation with
a learned prior") and motion compensation: the last seen masks are moved by the imagined motion of
the vehicle, which puts everything that stands still where it belongs, after a small recurrent
convolution that also reads the imagined latents has moved what moves, a model step at a time.

Only pictures need it; planning reads the heads and pays nothing.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.config import ModelConfig


def warp_masks(
    masks: torch.Tensor, motion: torch.Tensor, metres_per_px: float, ego_row: float
) -> torch.Tensor:
    """Masks as they look from where the vehicle has gone.

    Args:
        masks: (M, C, S, S) 0..1; up is forward, the vehicle stands at column S / 2 and row
            ``ego_row`` * S.
        motion: (M, 3) x, y [m], yaw [rad] of the new place in the frame of the old one.
        metres_per_px: scale of the masks.
        ego_row: see ``masks``.

    Returns:
        (M, C + 1, S, S), bilinear; 0 where nothing was seen. The last channel is 1 where it was.
    """
    size = masks.shape[-1]
    # A pixel of the new picture at (x forward, y left) lies at R (x, y) + t of the old one.
    # In grid_sample's coordinates column = -y, row = -x, both over half the width.
    half = size * metres_per_px / 2.0
    cos, sin = motion[:, 2].cos(), motion[:, 2].sin()
    offset = 2.0 * ego_row - 1.0  # the vehicle's row in [-1, 1]
    shift_column = -motion[:, 1] / half - sin * offset
    shift_row = -motion[:, 0] / half + offset - cos * offset
    theta = torch.stack(
        [torch.stack([cos, sin, shift_column], -1), torch.stack([-sin, cos, shift_row], -1)], 1
    )
    seen = torch.ones_like(masks[:, :1])
    grid = F.affine_grid(theta, [len(masks), 1, size, size], align_corners=False)
    return F.grid_sample(torch.cat([masks, seen], 1), grid.to(masks.dtype), align_corners=False)


class Forecast(nn.Module):
    """Carries the last seen masks through imagined time, step by step of the model.

    The picture stays in the frame in which it was seen while others move in it, at half resolution
    with the four pixels of a cell as channels; each step is a small residual convolution that is
    told the imagined latent. To be looked at, it is moved to where the vehicle is by then, and what
    was out of sight is drawn from the latent.

    Args:
        features: width of the latent features.
        config: of the model.
    """

    HIDDEN = 24  # channels that carry what a mask does not show, such as how fast somebody goes

    def __init__(self, features: int, config: ModelConfig):
        super().__init__()
        self.metres_per_px, self.ego_row = config.bev_metres_per_px, config.bev_ego_row
        self.masks, channels = config.bev_channels, config.forecast_channels
        width = 4 * self.masks + self.HIDDEN
        self.told = nn.Linear(features, channels)
        self.enter = nn.Conv2d(width, channels, 3, padding=1)
        self.norm = nn.GroupNorm(1, channels)
        self.middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.change = nn.Conv2d(channels, width, 3, padding=1)
        for parameter in self.change.parameters():  # begin with a world that stands still
            nn.init.zeros_(parameter)
        self.trust = nn.Parameter(torch.full((self.masks, 1, 1), 3.0))

    def begin(self, seen: torch.Tensor) -> torch.Tensor:
        """The masks now (M, C, S, S) of 0..1 -> the picture to carry, (M, X, S/2, S/2)."""
        cells = F.pixel_unshuffle(seen, 2)
        hidden = cells.new_zeros(len(cells), self.HIDDEN, *cells.shape[2:])
        return torch.cat([cells, hidden], 1).contiguous(memory_format=torch.channels_last)

    def step(self, picture: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """The picture one model step later, given the latent features (M, F) then."""
        told = self.told(features)[..., None, None]
        inner = F.silu(self.norm(self.enter(picture) + told))
        return picture + self.change(F.silu(self.middle(inner)))

    def look(
        self, picture: torch.Tensor, motion: torch.Tensor, decoded: torch.Tensor
    ) -> torch.Tensor:
        """Mask logits at half resolution as seen from the vehicle, (M, C, S/2, S/2).

        Args:
            picture: (M, X, S/2, S/2).
            motion: (M, 3) x, y [m], yaw [rad] of the vehicle then, in its frame of now.
            decoded: (M, C, S/2, S/2) logits of the latent alone, for what was out of sight.
        """
        masks = F.pixel_shuffle(picture[:, : 4 * self.masks].float(), 2)
        moved = warp_masks(masks, motion, self.metres_per_px, self.ego_row)
        there = self.trust * (2.0 * F.max_pool2d(moved[:, :-1], 2) - 1.0)
        return torch.lerp(decoded.float(), there, F.avg_pool2d(moved[:, -1:], 2))
