"""Judges camera images: unreadable, wrong size, not finite, black, frozen while moving."""

from __future__ import annotations

import math
import zlib
from collections import Counter

import numpy as np

from wm_perception.messages import MessageError, image_pixels

SPARSE = 16  # of so many pixels one is looked at first: pictures are rarely black
MOVING_MPS = 1.0  # faster than this, no two pictures are the same to the last bit


def depth_problem(message) -> str:
    """What is wrong with a 32FC1 image where a colour image is expected."""
    data = np.frombuffer(message.data, np.uint8)
    values = data[: data.size // 4 * 4].view(np.float32)
    bad = int((~np.isfinite(values)).sum())
    suffix = f", {bad} values are not finite" if bad else ""
    return f"image is 32FC1 (depth), a colour image is expected{suffix}"


def is_black(pixels: np.ndarray) -> bool:
    """Whether all colours of (H, W, 3 or 4) pixels are zero; the fourth number is no colour."""
    colours = pixels[..., :3]
    return not (colours[::SPARSE, ::SPARSE].any() or colours.any())


class ImageCheck:
    """Checks one camera's images in order.

    Attributes:
        problems: kind (``unreadable``, ``size``, ``black``, ``frozen``) -> count.
        text: the latest problem in words, empty while the last image was fine.
    """

    def __init__(self, size: tuple[int, int] | None = None, smallest: tuple[int, int] = (1, 1)):
        """Set up for one camera.

        Args:
            size: expected (width, height); the first readable image sets it when None.
            smallest: (width, height) that whoever uses the images needs at least.
        """
        self.problems: Counter[str] = Counter()
        self.text = ""
        self._size, self._smallest = size, smallest
        self._digest: int | None = None
        self._stamp: tuple[int, int] | None = None
        self._same = 0

    def check(self, message, speed_mps: float) -> str:
        """Judge one image.

        Args:
            message: sensor_msgs/Image.
            speed_mps: current speed; a picture may repeat only while the vehicle stands.

        Returns:
            What is wrong, empty when nothing.
        """
        kind, self.text = self._judge(message, speed_mps)
        if kind:
            self.problems[kind] += 1
        return self.text

    def _judge(self, message, speed_mps: float) -> tuple[str, str]:
        if message.encoding == "32FC1":
            return "unreadable", depth_problem(message)
        try:
            image = image_pixels(message)
        except MessageError as error:
            return "unreadable", str(error)
        size = (image.shape[1], image.shape[0])
        if size[0] < self._smallest[0] or size[1] < self._smallest[1]:
            least = "{} x {}".format(*self._smallest)
            return "size", f"image is {size[0]} x {size[1]}, the model needs at least {least}"
        if self._size is None:
            self._size = size
        if size != self._size:
            expected = "{} x {}".format(*self._size)
            return "size", f"image is {size[0]} x {size[1]}, expected {expected}"
        if is_black(image):
            return "black", "image is black: every pixel is zero"
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        if stamp == self._stamp and any(stamp):
            return "", ""  # the same message once more
        self._stamp = stamp
        digest = zlib.crc32(np.ascontiguousarray(image).data)
        moving = math.isfinite(speed_mps) and abs(speed_mps) > MOVING_MPS
        self._same = self._same + 1 if digest == self._digest and moving else 0
        self._digest = digest
        if self._same:
            return (
                "frozen",
                f"image is frozen: the last {self._same + 1} are identical while moving",
            )
        return "", ""
