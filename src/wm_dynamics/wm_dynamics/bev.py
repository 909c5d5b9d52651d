"""Bird's-eye-view masks as one byte per pixel: bit ``k`` of a pixel is channel ``k``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def pack_bev(masks: np.ndarray) -> np.ndarray:
    """(..., C, S, S) 0/1 masks -> (..., S, S) uint8 bitmask, C <= 8."""
    if masks.shape[-3] > 8:
        raise ValueError(f"at most 8 channels fit one byte, got {masks.shape[-3]}")
    bits = np.asarray(masks != 0, np.uint8)
    shift = np.arange(masks.shape[-3], dtype=np.uint8)[:, None, None]
    return np.bitwise_or.reduce(bits << shift, axis=-3)


def unpack_bev(
    packed: torch.Tensor, channels: int, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """(..., S, S) uint8 bitmask -> (..., channels, S, S) of 0 and 1, float32 unless said otherwise.

    Channels are innermost in memory: convolutions on the CPU are twice as fast on this layout.
    """
    import torch  # for who has tensors; what only packs masks runs without

    shift = torch.arange(channels, dtype=torch.uint8, device=packed.device)
    return ((packed.unsqueeze(-1) >> shift) & 1).to(dtype or torch.float32).movedim(-1, -3)
