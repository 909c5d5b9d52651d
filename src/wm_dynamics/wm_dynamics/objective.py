"""What every kind of model is trained on, heads aside: KL and reconstruction of a window."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from wm_dynamics.bev import unpack_bev
from wm_dynamics.decoder import image_error
from wm_dynamics.kl import balanced_kl
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import States
from wm_dynamics.streams import Streams, image_input


def reconstruction_errors(
    model: WorldModel, features: torch.Tensor, streams: Streams
) -> dict[str, torch.Tensor]:
    """How far what the model draws is from what was there, at half resolution.

    Args:
        model: the model.
        features: (M, D + width of stoch).
        streams: raw streams of the same M moments; what is not among them is left out.

    Returns:
        (M,) per kind: "bev" cross-entropy, mean over pixels and sum over channels; "cameras"
        squared error, see ``decoder.image_error``.
    """
    errors = {}
    if model.decoder is not None and "bev" in streams:
        masks = unpack_bev(streams["bev"], model.config.bev_channels)
        logits = model.decoder(features).float()
        error = F.binary_cross_entropy_with_logits(logits, F.max_pool2d(masks, 2), reduction="none")
        errors["bev"] = error.mean((2, 3)).sum(1)
    cameras = model.config.cameras
    if model.camera_decoder is not None and all(name in streams for name in cameras):
        images = torch.stack([image_input(streams[name]) for name in cameras], 1)
        errors["cameras"] = image_error(model.camera_decoder(features), images)
    return errors


def window_loss(
    model: WorldModel, window: dict[str, torch.Tensor], free_nats: float = 1.0
) -> tuple[torch.Tensor, States]:
    """KL and reconstruction of raw windows, (B, T, ...) by name, with "mask" (B, T).

    Returns:
        The loss and the posterior states.
    """
    flat = {name: value.flatten(0, 1) for name, value in window.items()}
    masks = None
    if model.config.bev:
        masks = unpack_bev(window["bev"], model.config.bev_channels)
    states = model.observe(masks, window)
    loss, _ = balanced_kl(model.rssm, states, window["mask"], free_nats=free_nats)
    mask = flat["mask"]
    for error in reconstruction_errors(model, states.features.flatten(0, 1), flat).values():
        loss = loss + (error * mask).sum() / mask.sum().clamp_min(1.0)
    return loss, states
