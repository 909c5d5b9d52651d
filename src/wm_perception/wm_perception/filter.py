"""The latent filter: observations in, posterior latents out, at every frame.

The world model steps ``dt`` (0.2 s), frames come faster (0.1 s). So that the posterior is fresh at
every frame, ``stride`` recurrent states are kept and updated in turn: the state of frame k grows
from that of frame k - stride.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wm_perception.conventions import relative_motion
from wm_perception.observation import Observation


@dataclass(frozen=True)
class Filtered:
    """The posterior of one frame.

    Attributes:
        latent: the backend's latent state.
        surprise: KL(posterior || prior), nats; 0 on the first frames after a reset.
        novelty: how unusual the frame is, see :mod:`wm_dynamics.novelty`; None for a model that
            nobody has measured it for.
    """

    latent: Any
    surprise: float
    novelty: float | None = None


class LatentFilter:
    """Keeps the posterior of one stream of observations."""

    def __init__(self, backend, frame_dt: float = 0.1):
        """Args: backend with ``dt``, ``initial()`` and ``observe(...)``; frame_dt in seconds.

        Raises:
            ValueError: the model's step is not a whole number of frames.
        """
        self._backend = backend
        self.stride = round(backend.dt / frame_dt)
        if self.stride < 1 or abs(self.stride * frame_dt - backend.dt) > 1e-6:
            raise ValueError(
                f"the model steps {backend.dt} s, which is not a whole number of frames of "
                f"{frame_dt} s; set the simulator's fixed_delta_seconds to a divisor of it"
            )
        self.reset()

    def reset(self) -> None:
        """Forget everything seen so far."""
        self._latents = deque([None] * self.stride, maxlen=self.stride)
        self._traces = deque([None] * self.stride, maxlen=self.stride)
        self._seen: deque[Observation] = deque(maxlen=self.stride)

    def update(self, observation: Observation) -> Filtered:
        """The posterior after ``observation``; its ``reset`` flag starts afresh."""
        if observation.reset:
            self.reset()
        previous = self._latents[0]
        if previous is None:
            action, motion = np.zeros(2), np.zeros(3)
            filtered = self._observe(self._backend.initial(), action, motion, observation)
            filtered = replace(filtered, surprise=0.0)
        else:
            recent = [*list(self._seen)[1:], observation]
            action = np.mean([[o.command.steer, o.command.accel] for o in recent], axis=0)
            motion = relative_motion(self._seen[0].pose, observation.pose)
            filtered = self._observe(previous, action, motion, observation)
        self._latents.append(filtered.latent)
        self._seen.append(observation)
        return filtered

    def _observe(self, latent: Any, action: np.ndarray, motion: np.ndarray, seen) -> Filtered:
        """One step of the model."""
        if getattr(self._backend, "novelty", None) is None:
            latent, surprise = self._backend.observe(latent, action, motion, seen)
            return Filtered(latent, float(surprise))
        latent, surprise, trace, novelty = self._backend.observe_judged(
            latent, self._traces[0], action, motion, seen
        )
        self._traces.append(trace)
        return Filtered(latent, surprise, novelty)
