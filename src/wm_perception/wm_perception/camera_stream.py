"""Camera pictures as a world model sees them: one crop, one size, whatever the source."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.variants import CAMERA_HEIGHT, CAMERA_WIDTH

PREFIX = "camera_"  # of a camera's stream
FOV_DEG = 90.0  # horizontal field of view of the pictures that models learn from


@dataclass(frozen=True)
class CameraStream:
    """One camera of a model.

    Attributes:
        name: of the stream, ``camera_front``.
        height, width: of the pictures that the model reads, px.
    """

    name: str
    height: int
    width: int

    @property
    def camera(self) -> str:
        """The camera's own name, ``front``."""
        return self.name.removeprefix(PREFIX)

    def fit(self, image: np.ndarray) -> np.ndarray:
        """See :func:`fit_image`."""
        return fit_image(image, self.height, self.width)


FRONT = CameraStream(PREFIX + "front", CAMERA_HEIGHT, CAMERA_WIDTH)  # what driving models read


def camera_stream(config: ModelConfig) -> CameraStream | None:
    """The camera that a model drives by, None for a model that has none.

    Raises:
        UserError: the model wants a sensor that the stack does not feed.
    """
    fed = (FRONT.name, "bev", "state", "route")
    foreign = [name for name in config.streams if name not in fed]
    if foreign:
        raise UserError(
            f"the model reads {', '.join(foreign)}; what drives here can give a model "
            f"{', '.join(fed)} only"
        )
    camera = config.camera
    return CameraStream(FRONT.name, camera.height, camera.width) if camera else None


def kept_part(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """How many of a picture's rows and columns :func:`fit_image` keeps."""
    kept_rows = min(rows, max(1, round(columns * height / width)))
    return kept_rows, min(columns, max(1, round(rows * width / height)))


def fit_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of a picture, as large as the aspect ratio allows, scaled to (height, width).

    Nothing is squeezed, so that what is round stays round. A picture that is too high for its width
    keeps its horizontal field of view. Colours are averaged over what a pixel covers. Depth is
    taken from the nearest pixel: the mean of two depths is a depth where nothing is.

    Args:
        image: (H, W, 3) colours or (H, W) depth.
        height, width: wanted, px.

    Returns:
        (height, width, 3) or (height, width); the picture itself where it has that size.
    """
    rows, columns = image.shape[:2]
    kept_rows, kept_columns = kept_part(rows, columns, height, width)
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    part = image[top : top + kept_rows, left : left + kept_columns]
    if part.shape[:2] == (height, width):
        return part
    smaller = height <= kept_rows and width <= kept_columns
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    if image.ndim == 2:
        method = cv2.INTER_NEAREST
    return cv2.resize(part, (width, height), interpolation=method)
