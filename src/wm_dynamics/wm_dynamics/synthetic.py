"""Made-up driving windows that fit any model: for tests and benchmarks, where no recording is."""

from __future__ import annotations

import torch

from wm_dynamics.config import ModelConfig
from wm_dynamics.streams import input_shape

BLOCK = 8  # pixels per side of what there is to see


def synthetic_window(
    config: ModelConfig, batch: int, steps: int, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Random streams of all that ``config`` sees, with action, motion and masks to draw.

    Scenes are random blocks that stay the same within a window, so that there is something to
    learn.

    Args:
        config: the model they are for.
        batch: B.
        steps: T.
        seed: same seed, same window.

    Returns:
        Raw streams (B, T, ...) as :mod:`wm_dynamics.streams` describes them, "action" (B, T, 2),
        "motion" (B, T, 3), "mask" (B, T) of ones, and "bev" bit masks if they are drawn or seen.
    """
    generator = torch.Generator().manual_seed(seed)

    def scene(shape: tuple[int, ...], high: int) -> torch.Tensor:
        channels, height, width = shape
        coarse = torch.randint(
            high, (batch, channels, height // BLOCK, width // BLOCK), generator=generator
        ).to(torch.uint8)
        blocks = coarse.repeat_interleave(BLOCK, -1).repeat_interleave(BLOCK, -2)
        return blocks[:, None].expand(-1, steps, -1, -1, -1)

    side = config.bev_size
    action = torch.rand(batch, steps, 2, generator=generator) * 2.0 - 1.0
    window = {
        "action": action,
        "motion": 0.1 * torch.randn(batch, steps, 3, generator=generator),
        "mask": torch.ones(batch, steps),
        "bev": scene((1, side, side), 1 << config.bev_channels)[:, :, 0],
    }
    for name in config.streams:
        shape = input_shape(name, config)
        if name in config.cameras:
            window[name] = scene(shape, 256).movedim(2, -1)
        elif name == "lidar_bev":
            window[name] = scene(shape, 4)
        elif name != "bev":
            window[name] = torch.randn(batch, steps, *shape, generator=generator)
    return window
