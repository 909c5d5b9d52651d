"""Pairs frames with the pictures of a camera that a model drives by, as both arrive.

In lockstep a picture has its frame's stamp and comes within milliseconds of it, before or after. A
camera of its own clock is older than the frame. A frame therefore waits a moment for a picture of
its own stamp and else takes the newest one taken until then, never a later one. A picture serves
one frame: seen twice, it would tell the model that nothing moved.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np

from wm_perception.camera_stream import FOV_DEG, CameraStream, kept_part
from wm_perception.frame import SceneFrame
from wm_perception.image_check import ImageCheck
from wm_perception.messages import image_pixels, stamp_ns, to_rgb
from wm_perception.scene import Scene
from wm_perception.sync import TOLERANCE_NS

KEPT_PICTURES = 8
FOV_TOLERANCE_DEG = 5.0


class CameraFeed:
    """Frames in, pictures in, frames with pictures out.

    Attributes:
        check: judges every picture; one that it objects to is not used.
        without: frames for which no new picture was near enough.
        lens: what is wrong with the field of view, empty when nothing or not known.
        used_ns: stamp of the picture that was used last, None before the first.
    """

    def __init__(self, stream: CameraStream, max_age_s: float, wait_s: float):
        """Set up.

        Args:
            stream: what the model reads.
            max_age_s: how much older than its frame a picture may be.
            wait_s: how long a frame waits for a picture of its own stamp, on a steady clock.
        """
        self.check = ImageCheck(smallest=(stream.width, stream.height))
        self.without = 0
        self.lens = ""
        self._stream, self._wait_s = stream, wait_s
        self._max_age_ns = int(max_age_s * 1e9) + TOLERANCE_NS
        self._pictures: deque[tuple[int, np.ndarray]] = deque(maxlen=KEPT_PICTURES)
        self._held: tuple[SceneFrame, Scene, float] | None = None
        self.used_ns: int | None = None

    def add(self, message, speed_mps: float) -> None:
        """Take one sensor_msgs/Image.

        Args:
            message: the picture.
            speed_mps: of the vehicle; a picture may repeat only while it stands.
        """
        if self.check.check(message, speed_mps):
            return
        stamp = stamp_ns(message.header.stamp)
        if self._pictures and stamp == self._pictures[-1][0]:
            return  # the same message once more
        if self._pictures and stamp < self._pictures[-1][0]:
            self._pictures.clear()  # the source was restarted
            self.used_ns = None
        # Cropped and scaled as it was sent: what is copied and recoloured is small.
        fitted = self._stream.fit(image_pixels(message))
        self._pictures.append((stamp, to_rgb(fitted, message.encoding)))

    def measure(self, info) -> None:
        """Take one sensor_msgs/CameraInfo: a model sees distances by the lens it learned with."""
        focal_px = info.k[0]
        if not (math.isfinite(focal_px) and focal_px > 0.0 and info.width and info.height):
            self.lens = ""  # an uncalibrated camera says zero
            return
        _, columns = kept_part(info.height, info.width, self._stream.height, self._stream.width)
        fov_deg = math.degrees(2.0 * math.atan(columns / 2.0 / focal_px))
        fits = abs(fov_deg - FOV_DEG) <= FOV_TOLERANCE_DEG
        self.lens = (
            ""
            if fits
            else (
                f"the picture that the model gets is {fov_deg:.0f} degrees wide, it learned with "
                f"{FOV_DEG:.0f}: set the camera's fov"
            )
        )

    def hold(self, frame: SceneFrame, scene: Scene, now_s: float) -> None:
        """Keep a frame for :meth:`release`; the one before must have been released."""
        self._held = (frame, scene, now_s)

    def release(self, now_s: float = math.inf) -> tuple[SceneFrame, Scene] | None:
        """The held frame, once its picture is there or it has waited long enough.

        Args:
            now_s: of the clock of :meth:`hold`; infinite when it must not wait any longer.

        Returns:
            The frame, its ``image`` None when no picture was near enough, and its scene; None when
            no frame is due.
        """
        if self._held is None:
            return None
        frame, scene, since_s = self._held
        reached = self._pictures and self._pictures[-1][0] >= frame.stamp_ns - TOLERANCE_NS
        if not reached and now_s < since_s + self._wait_s:
            return None
        self._held = None
        image = self._at(frame.stamp_ns)
        self.without += image is None
        return replace(frame, image=image), scene

    def _at(self, time_ns: int) -> np.ndarray | None:
        """The newest picture taken until then, if it is not too old and was not used yet."""
        for stamp, picture in reversed(self._pictures):
            if stamp <= time_ns + TOLERANCE_NS:
                if stamp == self.used_ns or time_ns - stamp > self._max_age_ns:
                    return None
                self.used_ns = stamp
                return picture
        return None
