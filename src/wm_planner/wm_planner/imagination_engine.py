"""Messages to pictures of what the model expects; loaded only once somebody watches."""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.checkpoint import load_checkpoint
from wm_msgs.msg import ImaginedRollouts, Latent
from wm_perception.messages import stamp_ns
from wm_planner import expectation_pictures as pictures
from wm_planner.expectation import expect, unexpected
from wm_planner.imagination_memory import ImaginationMemory
from wm_planner.paths import model_path
from wm_planner.planner_messages import read_latent

FRAME_S = 0.05  # frames come no faster
NS = 1e9


class ImaginationEngine:
    """The model and its memory.

    Attributes:
        horizons_s: the times that are drawn, whole steps of the model.
    """

    def __init__(
        self,
        model: str,
        threads: int,
        horizons_s: tuple[float, ...],
        surprise_s: float,
        tile: int,
    ):
        """Load the model.

        Args:
            model: directory, or name of a shipped model.
            threads: torch threads.
            horizons_s: times to draw, rounded up to steps of the model.
            surprise_s: age of the expectation that is compared with what is seen.
            tile: side of a tile, pixels.

        Raises:
            UserError: there is no such model.
        """
        torch.set_num_threads(threads)
        self._backend = TorchBackend(load_checkpoint(model_path(model)))
        self._model = self._backend.model
        dt = self._backend.dt
        self._steps = sorted({max(1, int(np.ceil(h / dt - 1e-6))) for h in horizons_s})
        self._surprise_steps = max(1, round(surprise_s / dt))
        self._tile = tile
        self._memory = ImaginationMemory(int(self._surprise_steps * dt / FRAME_S) + 10)
        self.horizons_s = [step * dt for step in self._steps]

    def believe(self, message: Latent) -> None:
        """A belief.

        Raises:
            ValueError: it cannot be used.
        """
        if message.reset:
            self._memory.forget()
        situation = read_latent(message, self._backend)
        stamp = stamp_ns(message.header.stamp)
        self._memory.believed(stamp, situation.latent, situation.ego_state)

    def see(self, stamp: int, mask: np.ndarray) -> None:
        """The (S, S) bit mask of the frame ``stamp`` (ns)."""
        self._memory.saw(stamp, mask)

    def future_masks(self, message: ImaginedRollouts) -> np.ndarray | None:
        """BGR strip of the masks along the chosen plan; None while its frame is not known."""
        return self._future(message, cameras=False)

    def future_cameras(self, message: ImaginedRollouts) -> np.ndarray | None:
        """BGR strip of the cameras' pictures along the chosen plan, one row a camera."""
        return self._future(message, cameras=True)

    def _future(self, message: ImaginedRollouts, cameras: bool) -> np.ndarray | None:
        model, tile = self._model, self._tile
        if cameras and not model.config.cameras:
            return pictures.notice("this model has no camera and draws none", tile)
        if not cameras and model.decoder is None:
            return pictures.notice("this model draws no masks", tile)
        moment = self._memory.moment(stamp_ns(message.header.stamp))
        if moment is None:
            return None
        actions = np.stack([message.steer, message.accel], -1)
        steps = [0, *(step for step in self._steps if step <= len(actions))]
        times = [step * self._backend.dt for step in steps]
        drawn = expect(model, moment, actions, steps, masks=not cameras, cameras=cameras)
        if cameras:
            rows = [pictures.camera_strip(p, times, tile) for p in drawn.cameras.values()]
            width = max(row.shape[1] for row in rows)
            return np.vstack([np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows])
        assert drawn.masks is not None, "asked for of a model that draws them"
        return pictures.bev_strip(moment.mask, drawn.masks, times, tile)

    def surprise(self, now_ns: int) -> np.ndarray | None:
        """BGR picture of what is seen in the frame ``now_ns`` against what was expected of it."""
        if self._model.decoder is None:
            return pictures.notice("this model draws no masks", self._tile)
        step_ns = round(self._backend.dt * NS)
        then_ns = now_ns - self._surprise_steps * step_ns
        now, then = self._memory.moment(now_ns), self._memory.moment(then_ns)
        actions = self._memory.driven(then_ns, step_ns, self._surprise_steps)
        if now is None or then is None or actions is None:
            return None
        steps = [self._surprise_steps]
        drawn = expect(self._model, then, actions, steps, cameras=False)
        assert drawn.masks is not None, "asked for of a model that draws them"
        appeared, missing = unexpected(drawn.masks[0], now.mask)
        age = (now_ns - then_ns) / NS
        return pictures.surprise_picture(now.mask, appeared, missing, age, self._tile)
