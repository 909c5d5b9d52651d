"""The model's masks in colours. Display only; nothing here feeds a model. Colours are BGR."""

from __future__ import annotations

import cv2
import numpy as np

from wm_perception.bev import EGO_ROW, METRES_PER_PX, SIZE_PX, planes

MASK_COLOURS = ((90, 90, 90), (210, 210, 210), (214, 150, 70), (64, 150, 240), (40, 210, 250),
                (60, 60, 240))  # fmt: skip
BACKGROUND = 24
EGO = (110, 210, 110)
EGO_SIZE_M = (4.5, 1.9)  # as drawn


def mask_view(mask: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) BGR of a (64, 64) bit mask: what the world model sees."""
    canvas = np.full((*mask.shape, 3), BACKGROUND, np.uint8)
    for channel, colour in zip(planes(mask), MASK_COLOURS, strict=True):
        canvas[channel > 0] = colour
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_NEAREST)


def blend(probability: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) BGR of probabilities of the masks (C, h, w): doubt is pale."""
    canvas = np.full((*probability.shape[1:], 3), BACKGROUND, np.float32)
    for channel, colour in zip(probability, MASK_COLOURS, strict=True):
        canvas += channel[..., None] * (np.array(colour, np.float32) - canvas)
    picture = canvas.round().astype(np.uint8)
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_NEAREST)


def draw_ego(view: np.ndarray) -> np.ndarray:
    """Put the ego vehicle into the square view (size, size, 3) of masks; returns the view."""
    pixel = view.shape[0] / SIZE_PX
    half = np.array([EGO_SIZE_M[1], EGO_SIZE_M[0]]) / METRES_PER_PX / 2  # columns, rows
    centre = np.array([SIZE_PX / 2, SIZE_PX * EGO_ROW])
    corners = (np.array([centre - half, centre + half]) * pixel).round().astype(int).tolist()
    cv2.rectangle(view, corners[0], corners[1], EGO, cv2.FILLED)
    return view


def mask_tile(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask with the ego vehicle, (size, size, 3) BGR."""
    return draw_ego(mask_view(mask, size))
