"""What the front camera saw before a fork, for models that look.

A process with a graphics context must not fork, so the one that forks keeps what there was to see,
and the pictures are drawn afterwards in a copy that makes a context of its own and never forks.
Nothing is seen after the fork: those frames have no picture.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from wm_perception.camera_stream import FRONT
from wm_sim.camera import CameraConfig, CameraUnavailable, Renderer
from wm_sim.fork import in_fork
from wm_sim.simulator import Simulator
from wm_sim.view import WorldView
from wm_training.store_columns import AGE, IMAGE

OPENGL = "moderngl"  # imported with the first context


def illustrate(
    branches: Sequence[dict[str, np.ndarray]], simulator: Simulator, views: Sequence[WorldView]
) -> None:
    """Add the camera's columns to the branches of a situation.

    Args:
        branches: columns of each, which begin with the same history.
        simulator: of the drive, without a camera.
        views: what there was to see in the frames of the history.

    Raises:
        CameraUnavailable: there is no OpenGL here.
        RuntimeError: this process has drawn pictures itself.
        wm_sim.fork.BranchFailed: the copy did not finish.
    """
    pictures = draw(simulator, views)
    by_length: dict[int, dict[str, np.ndarray]] = {}
    for branch in branches:
        frames = len(branch["bev"])
        if frames not in by_length:  # a store keeps an array that several episodes have once
            by_length[frames] = _columns(pictures, frames)
        branch |= by_length[frames]


def draw(simulator: Simulator, views: Sequence[WorldView]) -> np.ndarray:
    """(F, h, w, 3) uint8 pictures as models read them, those of a simulator with a camera.

    Raises:
        CameraUnavailable, RuntimeError, wm_sim.fork.BranchFailed: see :func:`illustrate`.
    """
    if OPENGL in sys.modules:
        raise RuntimeError("a process that has drawn pictures cannot fork one that draws")

    def work() -> dict[str, np.ndarray]:
        try:
            renderer = Renderer(simulator.town, simulator.scenery)
        except CameraUnavailable as error:
            return {"unavailable": np.array(str(error))}
        spec = CameraConfig().spec
        return {"pictures": np.stack([FRONT.fit(renderer.render(spec, view)) for view in views])}

    drawn = in_fork(simulator, work)
    if "unavailable" in drawn:
        raise CameraUnavailable(str(drawn["unavailable"]))
    return drawn["pictures"]


def _columns(pictures: np.ndarray, frames: int) -> dict[str, np.ndarray]:
    """The camera's columns of an episode of so many frames, the first of which have a picture."""
    images = np.zeros((frames, *pictures.shape[1:]), np.uint8)
    ages = np.full(frames, np.nan, np.float32)
    images[: len(pictures)], ages[: len(pictures)] = pictures, 0.0
    return {IMAGE + FRONT.camera: images, AGE + FRONT.camera: ages}
