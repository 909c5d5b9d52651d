"""What the axes of the belief mean: a real moment, moved along principal components and drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from wm_dynamics.bev import pack_bev
from wm_dynamics.heads import HEADS, head_values
from wm_dynamics.model import WorldModel
from wm_perception.bev_picture import mask_tile
from wm_training.inspect_metrics import spearman
from wm_training.inspect_moments import Moments, speeds
from wm_training.inspect_strips import MARGIN, TILE, colours, picture_tile, write

COMPONENTS = 4
DEVIATIONS = (-3.0, -1.5, 0.0, 1.5, 3.0)
TITLE = 40
# Heads that vary from moment to moment; probabilities of rare events are nearly always 0.
TELLING = (
    "lateral_deviation",
    "heading_error",
    "leader_presence",
    "leader_gap",
    "stop_presence",
    "stop_distance",
)
SIGNS = {"m": "m", "m/s": "m/s", "rad": "rad", "1": ""}


def principal(latent: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of beliefs (N, F): axes (count, F), deviations along them, shares."""
    centred = latent - latent.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    count = min(count, len(axes))
    deviations = sizes[:count] / np.sqrt(max(len(latent) - 1, 1))
    return axes[:count], deviations, sizes[:count] ** 2 / max(float((sizes**2).sum()), 1e-12)


def meaning(moments: Moments, axis: np.ndarray) -> tuple[str, float]:
    """The quantity that goes most with the place along an axis, and its rank correlation."""
    place = moments.latent @ axis
    quantities = {"speed": speeds(moments.ego), "yaw rate": moments.ego.state[:, 1]}
    quantities |= {name: moments.heads_now[name] for name in TELLING}
    found = {name: spearman(place, value) or 0.0 for name, value in quantities.items()}
    best = max(found, key=lambda name: abs(found[name]))
    return best, found[best]


@torch.inference_mode()
def traverse(model: WorldModel, moments: Moments, row: int, path: Path) -> Path | None:
    """Draw the belief of one moment moved along the first components.

    Args:
        model: draws masks or pictures.
        moments: the beliefs that the components are of.
        row: the moment.
        path: PNG file to write.

    Returns:
        ``path``, or None for a model that draws nothing.
    """
    if model.decoder is None and model.camera_decoder is None:
        return None
    axes, deviations, shares = principal(moments.latent, COMPONENTS)
    lines = []
    for number, (axis, deviation, share) in enumerate(zip(axes, deviations, shares, strict=True)):
        moved = moments.latent[row] + np.outer(DEVIATIONS, axis * deviation)
        features = torch.from_numpy(moved.astype(np.float32))
        name, correlation = meaning(moments, axis)
        title = (
            f"component {number + 1}: {share:.0%} of variance, goes with {name.replace('_', ' ')} "
            f"(rank correlation {correlation:+.2f})"
        )
        lines.append(_line(model, features, title, name))
    cv2.imwrite(str(path), np.vstack(lines))
    return path


def _line(model: WorldModel, features: torch.Tensor, title: str, name: str) -> np.ndarray:
    """One component: title, and a column of tiles per place along it."""
    values = head_values(model.head(features))
    unit = {head.name: SIGNS[head.unit] for head in HEADS}
    drawings: list[list[np.ndarray]] = []
    if model.decoder is not None:
        packed = pack_bev((torch.sigmoid(model.decoder(features)) > 0.5).numpy())
        masks = packed.repeat(2, -1).repeat(2, -2)
        drawings.append([mask_tile(mask, TILE) for mask in masks])
    if model.camera_decoder is not None:
        drawn = (model.camera_decoder(features) + 0.5).clamp(0.0, 1.0)
        for camera in drawn.unbind(1):
            drawings.append([picture_tile(picture, TILE) for picture in colours(camera)])
    height = sum(tiles[0].shape[0] + 2 * MARGIN for tiles in drawings)
    pitch = TILE + 2 * MARGIN
    canvas = np.full((TITLE + height, len(DEVIATIONS) * pitch, 3), 20, np.uint8)
    write(canvas, title, (6, 15))
    for place, deviation in enumerate(DEVIATIONS):
        left = place * pitch
        text = "as it was" if deviation == 0.0 else f"{deviation:+g} sd"
        if name in values:
            text += f": {float(values[name][place]):.2f} {unit[name]}"
        write(canvas, text, (left + 6, TITLE - 8))
        top = TITLE
        for tiles in drawings:
            tile = tiles[place]
            canvas[
                top + MARGIN : top + MARGIN + len(tile), left + MARGIN : left + MARGIN + TILE
            ] = tile
            top += len(tile) + 2 * MARGIN
    return canvas
