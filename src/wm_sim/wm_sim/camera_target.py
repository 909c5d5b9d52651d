"""Where a picture is drawn, and how it comes back as an array."""

from __future__ import annotations

from typing import Any

import numpy as np


class Target:
    """The framebuffer of a picture: colour, or one float32 per pixel (depth or tag).

    Args:
        gl: the OpenGL context.
        kind: "rgb", "depth" or "semantic".
        width, height: px.
        samples: anti-aliasing samples per pixel, 0 for none; colour only.
    """

    def __init__(self, gl: Any, kind: str, width: int, height: int, samples: int) -> None:
        self._gl, self._kind = gl, kind
        self._shape = (height, width)
        size = (width, height)
        if kind == "rgb":
            self._result = self._buffer = gl.simple_framebuffer(size, components=3)
        else:
            value = gl.renderbuffer(size, 1, dtype="f4")
            self._result = self._buffer = gl.framebuffer([value], gl.depth_renderbuffer(size))
        if samples and kind == "rgb":
            self._buffer = gl.framebuffer(
                [gl.renderbuffer(size, 3, samples=samples)],
                gl.depth_renderbuffer(size, samples=samples),
            )

    def start(self) -> None:
        """Draw here from now on."""
        self._buffer.use()

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8 colour, (H, W) float32 depth or (H, W) uint8 tags; first row on top."""
        if self._buffer is not self._result:
            self._gl.copy_framebuffer(self._result, self._buffer)
        if self._kind == "rgb":
            pixels = np.frombuffer(self._result.read(components=3, alignment=1), np.uint8)
            return pixels.reshape(*self._shape, 3)[::-1].copy()
        values = np.frombuffer(self._result.read(components=1, dtype="f4"), np.float32)
        values = values.reshape(self._shape)[::-1]
        return values.copy() if self._kind == "depth" else np.rint(values).astype(np.uint8)
