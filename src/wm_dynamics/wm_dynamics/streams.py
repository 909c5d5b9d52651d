"""Observation streams: raw tensors by name, made ready for the networks; hiding some in training.

=============== ======================================================================
bev             (..., S, S) uint8 bit mask, or (..., C, S, S) masks of 0/1
camera_<name>   (..., h, w, 3) uint8 RGB
lidar_bev       (..., channels, cells, cells), any type
state           (..., 5)
route           (..., R)
=============== ======================================================================
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from wm_dynamics import ranks
from wm_dynamics.bev import unpack_bev
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError

Streams = Mapping[str, torch.Tensor]
VECTORS = ("state", "route")


def network_inputs(
    streams: Streams, config: ModelConfig, dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """Raw streams (M, ...) -> what the encoder reads; streams the model does not know are left out.

    Raises:
        UserError: a stream has another shape than the model was made for.
    """
    ready = {}
    for name in config.streams:
        if (raw := streams.get(name)) is None:
            continue
        if name == "bev":
            packed = raw.dtype == torch.uint8 and raw.dim() == 3
            ready[name] = unpack_bev(raw, config.bev_channels, dtype) if packed else raw.to(dtype)
        elif name in config.cameras:
            ready[name] = image_input(raw, dtype)
        else:
            ready[name] = raw if name in VECTORS else raw.to(dtype)
        if ready[name].shape[1:] != (shape := input_shape(name, config)):
            raise UserError(
                f"stream {name!r} arrives as {tuple(raw.shape[1:])}; the model was made for "
                f"{shape}, change the source or train a model for it"
            )
    return ready


def input_shape(name: str, config: ModelConfig) -> tuple[int, ...]:
    """Shape of one row of stream ``name`` as the encoder reads it."""
    if name == "bev":
        return (config.bev_channels, config.bev_size, config.bev_size)
    if name == "lidar_bev" and config.lidar:
        return (config.lidar.channels, config.lidar.size, config.lidar.size)
    if name in config.cameras and config.camera:
        return (3, config.camera.height, config.camera.width)
    return (config.state_dim if name == "state" else config.route_dim,)


def image_input(image: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(..., h, w, 3) uint8 -> (..., 3, h, w) in [-0.5, 0.5], channels innermost in memory."""
    return (image.to(dtype) / 255.0).sub_(0.5).movedim(-1, -3)


def hide_streams(
    names: tuple[str, ...], rows: int, probability: float, device: torch.device
) -> dict[str, torch.Tensor]:
    """Modality dropout: which streams each row gets to see, name -> (rows,) bool.

    Every stream is hidden with ``probability``, but never all of a row's.
    """
    seen = ranks.uniform((len(names), rows), device, dim=1) >= probability
    spared = torch.randint(len(names), (ranks.count(rows),), device=device)
    spared = spared[ranks.numbers(rows, device)]
    blind = ~seen.any(0)
    seen[spared[blind], blind.nonzero()[:, 0]] = True
    return dict(zip(names, seen, strict=True))
