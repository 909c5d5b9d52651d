"""Pictures for frames: the newest one taken until then, never one from later, never a mixture."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from wm_perception.camera_stream import fit_image
from wm_perception.images import picture
from wm_perception.messages import MessageError, stamp_ns
from wm_perception.sync import TOLERANCE_NS


@dataclass
class _Shot:
    """One picture of a camera, decoded when a frame asks for it."""

    stamp_ns: int
    message: Any
    pixels: np.ndarray | None = None
    used: bool = False


class CameraTrack:
    """The pictures of one camera, in order.

    Attributes:
        lost: reason (``malformed``, ``other_kind``, ``out_of_order``, ``no_frame``) -> pictures.
        text: what was wrong with the last malformed one.
        missing: frames that no picture was near enough for.
    """

    def __init__(self, height: int, width: int, max_age_s: float):
        """Args: height, width: pictures are brought to, px; max_age_s: how old one may be."""
        self.lost: Counter[str] = Counter()
        self.text = ""
        self.missing = 0
        self._size = (height, width)
        self._max_age_ns = int(max_age_s * 1e9) + TOLERANCE_NS
        self._shots: list[_Shot] = []
        self._blank: np.ndarray | None = None

    @property
    def blank(self) -> np.ndarray:
        """What stands where a picture is missing: zeros, of this camera's kind."""
        return np.zeros((*self._size, 3), np.uint8) if self._blank is None else self._blank

    def add(self, message: Any) -> None:
        """Take one sensor_msgs/Image or CompressedImage."""
        stamp = stamp_ns(message.header.stamp)
        if self._shots and stamp <= self._shots[-1].stamp_ns:
            if stamp > self._shots[-1].stamp_ns - self._max_age_ns:
                self.lost["out_of_order"] += 1
                return
            self._forget(len(self._shots))  # the source was restarted
        self._shots.append(_Shot(stamp, message))

    def reached(self, time_ns: int) -> bool:
        """Whether a picture as late as that has come, so that no earlier one can follow."""
        return bool(self._shots) and self._shots[-1].stamp_ns >= time_ns - TOLERANCE_NS

    def at(self, time_ns: int) -> tuple[np.ndarray, float]:
        """The picture for a frame and its age in seconds; zeros and NaN when there is none."""
        last = len(self._shots)
        while last and self._shots[last - 1].stamp_ns > time_ns + TOLERANCE_NS:
            last -= 1
        while last:
            shot = self._shots[last - 1]
            age_ns = time_ns - shot.stamp_ns
            if age_ns > self._max_age_ns:
                break
            if self._decode(shot):
                shot.used = True
                self._forget(last - 1)
                assert shot.pixels is not None
                return shot.pixels, max(0.0, age_ns * 1e-9)
            del self._shots[last - 1]
            last -= 1
        self.missing += 1
        return self.blank, math.nan

    def finish(self) -> None:
        """The recording is over."""
        self._forget(len(self._shots))

    def _forget(self, count: int) -> None:
        """Let the oldest go. While none was good yet, look at them all: it tells what is wrong."""
        for shot in self._shots[:count]:
            if not shot.used and (self._blank is not None or self._decode(shot)):
                self.lost["no_frame"] += 1
        del self._shots[:count]

    def _decode(self, shot: _Shot) -> bool:
        if shot.pixels is not None:
            return True
        try:
            pixels = fit_image(picture(shot.message), *self._size)
        except MessageError as error:
            self.lost["malformed"] += 1
            self.text = str(error)
            return False
        if pixels.ndim == 2:
            pixels = pixels.astype(np.float16)
        if self._blank is None:
            self._blank = np.zeros_like(pixels)
        if pixels.shape != self._blank.shape:
            self.lost["other_kind"] += 1
            return False
        shot.pixels, shot.message = pixels, None
        return True
