"""Strips of pictures that show what a model sees, and what it imagines, beside what was there."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from wm_dynamics.bev import unpack_bev
from wm_dynamics.model import WorldModel, window_drive
from wm_training.pictures import MASK_COLOURS

BACKGROUND, BLANK = 0.08, 0.25  # grey of an empty mask, and of where there is nothing to show
GAP = 1  # pixels between pictures, before enlarging
ENLARGED = 2


@torch.no_grad()
def strips(
    model: WorldModel, batch: dict[str, torch.Tensor], context: int
) -> dict[str, np.ndarray]:
    """One strip per thing the model draws.

    Args:
        model: in evaluation mode.
        batch: windows (B, T, ...) as ``WindowSampler`` cuts them, on the model's device.
        context: steps seen before imagination begins.

    Returns:
        Name -> (height, width, 3) uint8 RGB. Time runs to the right. Three rows per window: what
        was there, what the model draws having seen that step, and what it imagined after
        ``context`` steps with the actions really taken, following the mode.
    """
    if model.decoder is None:
        return {}
    masks = unpack_bev(batch["bev"], model.config.bev_channels)
    device = masks.device
    # The posterior is sampled: always the same, and without touching the run's random state.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        states = model.observe(masks, batch)
        drive = window_drive(batch)[:, context:]
        now = context - 1
        greedy = torch.ones(len(drive), dtype=torch.bool, device=device)
        ahead = model.rssm.imagine(
            states.deter[:, now], states.stoch[:, now], drive, [0] * drive.shape[1], greedy,
            states.memory_after(now),
        )  # fmt: skip
    truth = F.max_pool2d(masks.flatten(0, 1), 2).unflatten(0, masks.shape[:2])
    drawn = [_draw_masks(model, features) for features in (states.features, ahead.features)]
    return {"bev": _stack(paint(truth), paint(drawn[0]), paint(drawn[1]))}


def paint(masks: torch.Tensor) -> np.ndarray:
    """Masks (B, T, C, h, w), or probabilities of them -> (B, T, h, w, 3) colours in [0, 1]."""
    layers = masks.float().cpu().numpy()[..., None]
    canvas = np.full((*layers[:, :, 0].shape[:-1], 3), BACKGROUND, np.float32)
    for channel, colour in enumerate(MASK_COLOURS[: layers.shape[2]]):
        rgb = np.array(colour[::-1], np.float32) / 255.0
        canvas += layers[:, :, channel] * (rgb - canvas)
    return canvas


def _draw_masks(model: WorldModel, features: torch.Tensor) -> torch.Tensor:
    """(B, T, X) -> (B, T, C, h, w) probabilities."""
    assert model.decoder is not None
    drawn = torch.sigmoid(model.decoder(features.flatten(0, 1)).float())
    return drawn.unflatten(0, features.shape[:2])


def _stack(truth: np.ndarray, seen: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """Pictures (B, T, h, w, 3), (B, T, ...) and (B, H, ...) -> one picture, uint8."""
    blank = np.full_like(truth[:, : truth.shape[1] - imagined.shape[1]], BLANK)
    rows = np.stack([truth, seen, np.concatenate([blank, imagined], 1)], 1)  # (B, 3, T, h, w, 3)
    rows = np.pad(rows, ((0, 0), (0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)))
    windows, kinds, steps, height, width, _ = rows.shape
    picture = rows.transpose(0, 1, 3, 2, 4, 5).reshape(windows * kinds * height, steps * width, 3)
    return np.kron(
        (255.0 * picture).round().astype(np.uint8), np.ones((ENLARGED, ENLARGED, 1), np.uint8)
    )
