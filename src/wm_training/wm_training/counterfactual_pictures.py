"""What the front camera sees before and after a fork, for models that look.

A process with a graphics context must not fork, so the one that forks keeps what there was to see
and draws nothing. The past is drawn in a copy of its own, which never forks; what a branch sees is
drawn in that branch.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np

from wm_perception.camera_stream import FRONT
from wm_sim.camera import CameraConfig, CameraUnavailable, Renderer
from wm_sim.camera_scene import town_mesh
from wm_sim.fork import Arrays, in_fork
from wm_sim.simulator import Simulator
from wm_sim.view import WorldView
from wm_training.store_columns import AGE, IMAGE

OPENGL = "moderngl"  # imported with the first context
_UNAVAILABLE = "unavailable"


class Painter:
    """Draws what a simulator without a camera would have seen, in copies that do not fork.

    Args:
        simulator: of the drive; its town is prepared here, once for all copies.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._mesh = town_mesh(simulator.town, simulator.scenery)

    def draw(self, views: Sequence[WorldView]) -> np.ndarray:
        """(F, h, w, 3) uint8 pictures as models read them, those of a simulator with a camera.

        To be called in a copy: it makes a graphics context.

        Raises:
            CameraUnavailable: there is no OpenGL here.
        """
        simulator, spec = self._simulator, CameraConfig().spec
        renderer = Renderer(simulator.town, simulator.scenery, mesh=self._mesh)
        return np.stack([FRONT.fit(renderer.render(spec, view)) for view in views])

    def past(self, views: Sequence[WorldView]) -> np.ndarray:
        """The same, drawn in a copy made for it.

        Raises:
            CameraUnavailable: there is no OpenGL here.
            RuntimeError: this process has drawn pictures itself.
            wm_sim.fork.BranchFailed: the copy did not finish.
        """
        if OPENGL in sys.modules:
            raise RuntimeError("a process that has drawn pictures cannot fork one that draws")

        def work() -> Arrays:
            try:
                return {"pictures": self.draw(views)}
            except CameraUnavailable as error:
                return {_UNAVAILABLE: np.array(str(error))}

        drawn = in_fork(self._simulator, work)
        if _UNAVAILABLE in drawn:
            raise CameraUnavailable(str(drawn[_UNAVAILABLE]))
        return drawn["pictures"]


def illustrate(branches: Sequence[dict[str, np.ndarray]], past: np.ndarray) -> None:
    """Give the branches of a situation the camera's columns.

    Args:
        branches: columns of each; one that has drawn what it saw has the columns already, and gets
            its past.
        past: (F, h, w, 3) pictures of the history with which all of them begin.
    """
    by_length: dict[int, dict[str, np.ndarray]] = {}
    for branch in branches:
        frames = len(branch["bev"])
        if IMAGE + FRONT.camera in branch:
            _begin(branch, past)
            continue
        if frames not in by_length:  # a store keeps an array that several episodes have once
            by_length[frames] = no_pictures(frames, past.shape[1:])
            _begin(by_length[frames], past)
        branch |= by_length[frames]


def no_pictures(frames: int, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The camera's columns of an episode in which nothing is seen.

    Args:
        frames: of the episode.
        shape: of a picture.
    """
    return {
        IMAGE + FRONT.camera: np.zeros((frames, *shape), np.uint8),
        AGE + FRONT.camera: np.full(frames, np.nan, np.float32),
    }


def with_pictures(frames: int, when: Sequence[int], pictures: np.ndarray) -> dict[str, np.ndarray]:
    """The camera's columns of an episode of which some frames are pictured.

    Args:
        frames: of the episode.
        when: the frames with a picture.
        pictures: (len(when), h, w, 3).
    """
    columns = no_pictures(frames, pictures.shape[1:])
    columns[IMAGE + FRONT.camera][when] = pictures
    columns[AGE + FRONT.camera][when] = 0.0
    return columns


def _begin(columns: Mapping[str, np.ndarray], past: np.ndarray) -> None:
    """Set the pictures of the first frames."""
    columns[IMAGE + FRONT.camera][: len(past)] = past
    columns[AGE + FRONT.camera][: len(past)] = 0.0
