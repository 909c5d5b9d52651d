"""What the forecast network learns: the masks of imagined moments, from the last ones seen."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics import ranks
from wm_dynamics.bev import unpack_bev
from wm_dynamics.ego import integrate
from wm_dynamics.forecast import Forecast


def forecast_logits(
    forecast: Forecast,
    decoder: nn.Module,
    features: torch.Tensor,
    seen: torch.Tensor,
    path: torch.Tensor,
) -> torch.Tensor:
    """Mask logits at each of H steps, (B, H, C, S/2, S/2), float32.

    Args:
        forecast, decoder: of one model.
        features: (B, H, F) imagined.
        seen: (B, C, S, S) masks before the first step, 0 or 1.
        path: (B, H, 3) of the vehicle after each step, in its frame before the first.
    """
    picture, pictures = forecast.begin(seen), []
    for t in range(features.shape[1]):
        picture = forecast.step(picture, features[:, t])
        pictures.append(picture)
    flat = torch.stack(pictures, 1).flatten(0, 1)
    decoded = decoder(features.flatten(0, 1))
    return forecast.look(flat, path.flatten(0, 1), decoded).unflatten(0, path.shape[:2])


def forecast_loss(
    forecast: Forecast,
    decoder: nn.Module,
    features: torch.Tensor,
    batch: dict[str, torch.Tensor],
    starts: list[int],
    rollouts: int,
) -> torch.Tensor:
    """Cross-entropy per pixel, summed over masks, along some of the imagined rollouts.

    The features get no gradient: what the latent carries is for the heads to decide, and the
    pictures take what there is. Where the vehicle will be is taken as it was.

    Args:
        forecast, decoder: of one model.
        features: (S * B, H, F) imagined from the steps ``starts`` of each window, in that order.
        batch: windows with "bev" (B, T, size, size), "motion" (B, T, 3) and "mask" (B, T).
        starts: S steps.
        rollouts: how many of the S * B.
    """
    windows, horizon = len(batch["mask"]), features.shape[1]
    order = torch.randperm(ranks.count(len(features)), device=features.device)
    rows = ranks.own_rows(order[:rollouts], len(features))
    window = (rows % windows)[:, None]
    start = torch.tensor(starts, device=rows.device)[rows // windows][:, None]
    steps = start + 1 + torch.arange(horizon, device=rows.device)
    path = integrate(batch["motion"][window, steps])
    bits = unpack_bev(batch["bev"][window, torch.cat([start, steps], 1)], forecast.masks)
    logits = forecast_logits(forecast, decoder, features[rows].detach(), bits[:, 0], path)
    target = F.max_pool2d(bits[:, 1:].flatten(0, 1), 2).unflatten(0, steps.shape)
    error = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    valid = batch["mask"][window, steps]
    drawn = ranks.total(error.mean((3, 4)).sum(2) * valid)
    return drawn / ranks.total(valid).clamp_min(1.0)
