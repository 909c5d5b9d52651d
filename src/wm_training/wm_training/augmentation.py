"""What a run changes about its training windows: how cameras see, and where the vehicle stood.

Pictures are changed only where the model looks: what it is to draw stays clean, so that it learns
to see through the change. A displaced vehicle is another drive: streams, motion and labels change.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from wm_dynamics.augment import GroundView, displace, draw_offsets
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_perception.observation import ROUTE_SCALE_M
from wm_training.labels import LATERAL_COST
from wm_training.losses import SEEN
from wm_training.train_config import AugmentConfig

MID_GREY = 128


class Augmentation:
    """Changes batches of windows; how depends on the seed and the batch's number only.

    Args:
        config: how much of what.
        model: configuration of the model that is trained.
        columns: label name -> column.
        stride: frames per model step.
        seed: of the run, and number of the process.

    Raises:
        UserError: the vehicle is to be moved aside and the model has cameras.
    """

    def __init__(
        self,
        config: AugmentConfig,
        model: ModelConfig,
        columns: dict[str, int],
        stride: int,
        seed: tuple[int, ...],
    ):
        if config.sideways_m and model.cameras:
            raise UserError("a camera's picture can be turned, not moved aside; leave out "
                            "--augment.sideways-m, or train on masks")  # fmt: skip
        self.config, self.columns, self.seed = config, columns, seed
        self.cameras = model.cameras
        metres, row = model.bev_metres_per_px, model.bev_ego_row
        self.views = {"bev": GroundView(metres, row)}
        if model.lidar:  # the same ground in other cells
            cell = metres * model.bev_size / model.lidar.size
            self.views["lidar_bev"] = GroundView(cell, row)
        self.lateral_cost = LATERAL_COST * stride

    def __call__(self, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
        """Windows (B, T, ...) as ``WindowSampler`` cuts them -> the same, changed.

        The cameras' pictures that the model sees are added beside those it draws, see
        ``losses.SEEN``.
        """
        config = self.config
        draws = np.random.default_rng((*self.seed, number))
        if config.sideways_m or config.turn_rad:
            generator = torch.Generator().manual_seed(int(draws.integers(2**62)))
            offsets = draw_offsets(
                batch["labels"], self.columns, generator, config.sideways_m, config.turn_rad
            )
            batch = displace(
                batch, offsets, self.columns, self.views, ROUTE_SCALE_M,
                lateral_cost=self.lateral_cost,
            )  # fmt: skip
        if not (config.colour or config.cutout or config.shift_px):
            return batch
        seen = {
            SEEN + name: torch.from_numpy(change_pictures(batch[name].numpy(), config, draws))
            for name in self.cameras
        }
        return batch | seen


def change_pictures(
    pictures: np.ndarray, config: AugmentConfig, draws: np.random.Generator
) -> np.ndarray:
    """Shift, recolour and cover (B, T, h, w, 3) uint8 RGB, each window in one way."""
    changed = np.empty_like(pictures)
    for window, out in zip(pictures, changed, strict=True):
        right, down = draws.integers(-config.shift_px, config.shift_px, 2, endpoint=True)
        factors = 1.0 + config.colour * draws.uniform(-1.0, 1.0, 3)
        out[:] = recolour(shift(window, int(right), int(down)), *factors)
        cover(out, config.cutout, draws)
    return changed


def shift(pictures: np.ndarray, right: int, down: int) -> np.ndarray:
    """Move what (T, h, w, 3) pictures show by whole pixels; edges repeat."""
    if not (right or down):
        return pictures
    height, width = pictures.shape[1:3]
    margin = max(abs(right), abs(down))
    around = (margin, margin)
    wide = np.pad(pictures, ((0, 0), around, around, (0, 0)), "edge")
    top, left = margin - down, margin - right
    return wide[:, top : top + height, left : left + width]


def recolour(
    pictures: np.ndarray, brightness: float, contrast: float, saturation: float
) -> np.ndarray:
    """Scale brightness, contrast (about the mean) and saturation (about grey) of (T, h, w, 3)."""
    # All three are linear in a pixel's colours, so that one matrix does.
    grey = np.full((3, 3), 1.0 / 3.0)
    mix = brightness * contrast * (saturation * np.eye(3) + (1.0 - saturation) * grey)
    mean = brightness * (1.0 - contrast) * pictures[:, ::4, ::4].mean()
    matrix = np.column_stack([mix, np.full(3, mean)])
    flat = np.ascontiguousarray(pictures).reshape(-1, pictures.shape[2], 3)
    return cv2.transform(flat, matrix).reshape(pictures.shape)


def cover(pictures: np.ndarray, share: float, draws: np.random.Generator) -> None:
    """Paint one rectangle of (T, h, w, 3) grey, in place; its sides are up to ``share`` of h and w.

    DeVries and Taylor 2017, arXiv 1708.04552.
    """
    height, width = pictures.shape[1:3]
    size = np.rint(draws.uniform(0.0, share, 2) * (height, width)).astype(int)
    top, left = draws.integers(0, (height, width) - size, endpoint=True)
    pictures[:, top : top + size[0], left : left + size[1]] = MID_GREY
