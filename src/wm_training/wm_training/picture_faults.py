"""Faults of a camera, by name: to test doubt with. Seeded; none changes its input."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

# (F, h, w, 3) uint8 pictures of one drive in order -> the same.
PictureFault = Callable[[np.ndarray, np.random.Generator], np.ndarray]

NOISE_STD = 25.0  # of 255
EXPOSURE = 2.5
BLUR_PX = 2.5  # standard deviation
SPOTS, SPOT_SHARE = 6, (0.06, 0.14)  # dirt: how many, radius as a share of the width
COVERED = 0.4  # of the width, by something in front of the lens


def _black(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(pictures)


def _frozen(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    last = int(rng.integers(len(pictures) // 4, max(len(pictures) // 2, 1)))
    return pictures[np.minimum(np.arange(len(pictures)), last)]


def _noisy(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(0.0, NOISE_STD, pictures.shape).astype(np.float32)
    return np.clip(pictures + noise, 0, 255).astype(np.uint8)


def _overexposed(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(pictures * np.float32(EXPOSURE), 0, 255).astype(np.uint8)


def _blurred(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(picture, (0, 0), BLUR_PX) for picture in pictures])


def _dirty(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurred brown spots that stay where they are on the lens."""
    height, width = pictures.shape[1:3]
    cover = np.zeros((height, width), np.float32)
    for x, y, size in rng.uniform(size=(SPOTS, 3)):
        radius = (SPOT_SHARE[0] + size * (SPOT_SHARE[1] - SPOT_SHARE[0])) * width
        cv2.circle(cover, (int(x * width), int(y * height)), int(radius), 1.0, cv2.FILLED)
    soft = cv2.GaussianBlur(cover, (0, 0), 2.0)[..., None]
    mud = np.array([70.0, 55.0, 40.0], np.float32)
    return (pictures * (1.0 - soft) + mud * soft).astype(np.uint8)


def _covered(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Something dark before one side of the lens."""
    changed, width = pictures.copy(), int(COVERED * pictures.shape[2])
    side = slice(None, width) if rng.random() < 0.5 else slice(-width, None)
    changed[:, :, side] = 12
    return changed


PICTURE_FAULTS: dict[str, PictureFault] = {
    "camera_black": _black,
    "camera_frozen": _frozen,
    "camera_noise": _noisy,
    "camera_overexposed": _overexposed,
    "camera_blur": _blurred,
    "camera_dirt": _dirty,
    "camera_covered": _covered,
}
