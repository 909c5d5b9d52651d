"""Arrays to sensor_msgs/Image."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from wm_perception.messages import MessageError


def image_message(pixels: np.ndarray, header: Header) -> Image:
    """(H, W) uint8 as mono8, (H, W, 3) uint8 BGR as bgr8."""
    height, width = pixels.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="mono8" if pixels.ndim == 2 else "bgr8",
        step=pixels[0].size,
        data=array.array("B", np.ascontiguousarray(pixels).tobytes()),
    )


def mask_of(message: Image) -> np.ndarray:
    """The (S, S) bit mask of a mono8 picture on /wm/bev_mask.

    Raises:
        MessageError: it is no square mono8 picture.
    """
    side = message.height
    if message.encoding != "mono8" or message.width != side or len(message.data) != side * side:
        raise MessageError(
            f"a mask is a square mono8 picture, not {message.width} x {side} {message.encoding}"
        )
    return np.frombuffer(message.data, np.uint8).reshape(side, side)
