"""Strips of pictures that show what a model sees, and what it imagines, beside what was there."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.bev import unpack_bev
from wm_dynamics.decoder import drawn_size
from wm_dynamics.ego import integrate
from wm_dynamics.model import WorldModel, window_drive
from wm_dynamics.streams import image_input
from wm_perception.bev_picture import MASK_COLOURS
from wm_training.forecast_loss import forecast_logits

BACKGROUND, BLANK = 0.08, 0.25  # grey of an empty mask, and of where there is nothing to show
GAP = 1  # pixels between pictures, before enlarging
ENLARGED = 2


@torch.no_grad()
def strips(
    model: WorldModel, batch: dict[str, torch.Tensor], context: int
) -> dict[str, np.ndarray]:
    """One strip per thing the model draws: masks, and each camera.

    Args:
        model: in evaluation mode.
        batch: windows (B, T, ...) as ``WindowSampler`` cuts them, on the model's device.
        context: steps seen before imagination begins.

    Returns:
        Name of the stream -> (height, width, 3) uint8 RGB. Time runs to the right. Three rows per
        window: what was there, what the model draws having seen that step, and what it imagined
        after ``context`` steps with the actions really taken, following the mode.
    """
    if model.decoder is None and model.camera_decoder is None:
        return {}
    seen, imagined = _features(model, batch, context)
    pictures = {}
    if model.decoder is not None:
        masks = unpack_bev(batch["bev"], model.config.bev_channels)
        truth = F.max_pool2d(masks.flatten(0, 1), 2).unflatten(0, masks.shape[:2])
        ahead = _draw(model.decoder, imagined)
        if model.forecast is not None:
            path = integrate(batch["motion"][:, context:])
            last = masks[:, context - 1]
            ahead = forecast_logits(model.forecast, model.decoder, imagined, last, path)
        drawn = [logits.sigmoid() for logits in (_draw(model.decoder, seen), ahead)]
        pictures["bev"] = _stack(paint(truth), paint(drawn[0]), paint(drawn[1]))
    if model.camera_decoder is not None:
        drawn = [_draw(model.camera_decoder, features) for features in (seen, imagined)]
        for index, name in enumerate(model.config.cameras):
            images = image_input(batch[name])
            truth = drawn_size(images, drawn[0][:, :, index])
            colours = [_colours(x) for x in (truth, *(x[:, :, index] for x in drawn))]
            pictures[name] = _stack(*colours)
    return pictures


def _features(
    model: WorldModel, batch: dict[str, torch.Tensor], context: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latent features (B, T, X) having seen each step, and (B, T - context, X) imagined."""
    device = batch["action"].device
    masks = unpack_bev(batch["bev"], model.config.bev_channels) if model.config.bev else None
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
    return states.features, ahead.features


def paint(masks: torch.Tensor) -> np.ndarray:
    """Masks (B, T, C, h, w), or probabilities of them -> (B, T, h, w, 3) colours in [0, 1]."""
    layers = masks.float().cpu().numpy()[..., None]
    canvas = np.full((*layers[:, :, 0].shape[:-1], 3), BACKGROUND, np.float32)
    for channel, colour in enumerate(MASK_COLOURS[: layers.shape[2]]):
        rgb = np.array(colour[::-1], np.float32) / 255.0
        canvas += layers[:, :, channel] * (rgb - canvas)
    return canvas


def _draw(decoder: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """features (B, T, X) -> (B, T, ...) as the decoder has it, float32."""
    return decoder(features.flatten(0, 1)).float().unflatten(0, features.shape[:2])


def _colours(images: torch.Tensor) -> np.ndarray:
    """Images (B, T, 3, h, w) as ``streams.image_input`` has them -> (B, T, h, w, 3) in [0, 1]."""
    return (images + 0.5).clamp(0.0, 1.0).movedim(2, -1).cpu().numpy()


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
