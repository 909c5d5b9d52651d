"""Pictures of what the model expects, BGR; whatever is imagined has a violet frame."""

from __future__ import annotations

import cv2
import numpy as np

from wm_perception.bev_picture import blend, draw_ego, mask_tile, mask_view

IMAGINED, TEXT, BACKGROUND = (230, 90, 220), (235, 235, 235), 20
FRAME, HEADER = 3, 20
FADED = 0.35  # of what is seen, under the surprise


def bev_strip(mask: np.ndarray, masks: np.ndarray, times_s: list[float], tile: int) -> np.ndarray:
    """What is seen now, and what is expected at the times (n,), as one row of square tiles.

    Args:
        mask: (S, S) uint8 bit mask.
        masks: (n, C, S/2, S/2) probabilities.
        times_s: from now on, s.
        tile: side of a tile, pixels.
    """
    expected = [draw_ego(blend(probabilities, tile)) for probabilities in masks]
    return strip([("seen", mask_tile(mask, tile), False), *_imagined(expected, times_s)])


def camera_strip(pictures: np.ndarray, times_s: list[float], height: int) -> np.ndarray:
    """Expected pictures (n, h, w, 3) RGB at the times (n,) as one row of that height."""
    width = round(height * pictures.shape[2] / pictures.shape[1])
    enlarged = [
        cv2.resize(p[..., ::-1], (width, height), interpolation=cv2.INTER_LINEAR) for p in pictures
    ]
    return strip(_imagined(enlarged, times_s))


def _imagined(tiles: list[np.ndarray], times_s: list[float]) -> list[tuple[str, np.ndarray, bool]]:
    return [
        (f"+{time:.1f} s" if time else "believed", picture, True)
        for picture, time in zip(tiles, times_s, strict=True)
    ]


def strip(tiles: list[tuple[str, np.ndarray, bool]]) -> np.ndarray:
    """(name, picture, whether imagined) side by side under their names."""
    shown = []
    for name, picture, imagined in tiles:
        framed = cv2.copyMakeBorder(
            picture, FRAME, FRAME, FRAME, FRAME, cv2.BORDER_CONSTANT,
            value=IMAGINED if imagined else (BACKGROUND,) * 3,
        )  # fmt: skip
        shown.append(titled(framed, name))
    return np.hstack(shown)


def titled(picture: np.ndarray, text: str) -> np.ndarray:
    """A line of text above a picture."""
    head = np.full((HEADER, picture.shape[1], 3), BACKGROUND, np.uint8)
    cv2.putText(head, text, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, TEXT, 1, cv2.LINE_AA)
    return np.vstack([head, picture])


def surprise_picture(
    mask: np.ndarray, appeared: np.ndarray, missing: np.ndarray, age_s: float, tile: int
) -> np.ndarray:
    """What is seen, faded, and on it in red what was not expected, in blue what is missing.

    Args:
        mask: (S, S) uint8 bit mask.
        appeared, missing: (h, w) in [0, 1], see ``expectation.unexpected``.
        age_s: how old the expectation is, s.
        tile: side of the picture, pixels.
    """
    view = FADED * mask_view(mask, tile).astype(np.float32)
    for heat, colour in ((missing, (255, 120, 40)), (appeared, (60, 60, 255))):
        large = cv2.resize(heat.astype(np.float32), (tile, tile), interpolation=cv2.INTER_NEAREST)
        view += large[..., None] * (np.array(colour, np.float32) - view)
    share = float(np.maximum(appeared, missing).mean())
    name = f"surprise {age_s:.1f} s: {share:.1%}"
    return titled(draw_ego(view.round().astype(np.uint8)), name)


def notice(text: str, size: int) -> np.ndarray:
    """A picture that says why there is none."""
    canvas = np.full((size // 4, 3 * size, 3), BACKGROUND, np.uint8)
    cv2.putText(canvas, text, (8, size // 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, TEXT, 1, cv2.LINE_AA)
    return canvas
