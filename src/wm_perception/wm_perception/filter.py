"""The latent filter: observations in, posterior latents out, at every frame.

The world model steps ``dt`` (0.2 s), frames come faster (0.1 s). So that the posterior is fresh at
every frame, ``stride`` recurrent states are kept and updated in turn: the state of frame k grows
from that of frame k - stride.

A frame that was not seen (a lost picture, a lost message) is imagined: the prior moves the belief
on by one step, and its novelty is raised, more with each such frame in a row. So is one on which
the model fails: what it raises or returns does not spoil the belief.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import relative_motion, to_map
from wm_perception.observation import Observation

# Added to the novelty's threshold for each imagined frame in a row. Scores are in units of the
# spread of usual driving.
RAISED = 1.0


@dataclass(frozen=True)
class Filtered:
    """The posterior of one frame.

    Attributes:
        latent: the backend's latent state.
        surprise: KL(posterior || prior), nats; 0 on the first frames after a reset.
        novelty: how unusual the frame is, see :mod:`wm_dynamics.novelty`; None for a model that
            nobody has measured it for.
        imagined: the frame was not seen.
        failure: why the model could not look at the frame, empty when it could.
    """

    latent: Any
    surprise: float
    novelty: float | None = None
    imagined: bool = False
    failure: str = ""


class LatentFilter:
    """Keeps the posterior of one stream of observations."""

    def __init__(self, backend, frame_dt: float = 0.1):
        """Args: backend, see :class:`wm_dynamics.backend.TorchBackend`; frame_dt in seconds.

        Raises:
            ValueError: the model's step is not a whole number of frames.
        """
        self._backend, self._frame_ns = backend, frame_dt * 1e9
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
        self._unseen = 0  # frames imagined in a row
        self._begun = False

    @property
    def begun(self) -> bool:
        """Something was seen since the last reset."""
        return self._begun

    def update(self, observation: Observation, seen: bool = True) -> Filtered:
        """The belief after a frame.

        Args:
            observation: its ``reset`` flag starts afresh. Frames between the last one and this are
                imagined first.
            seen: False for a frame of which only pose, state and command are known: the rest of
                the observation is not looked at.

        Returns:
            The posterior, or the prior of a frame that was not seen.

        Raises:
            Exception: whatever the model raised when it could not even imagine; the belief is as
                it was.
        """
        if observation.reset:
            self.reset()
        for between in self._between(observation):
            self._step(between, seen=False)
        return self._step(observation, seen)

    def _between(self, observation: Observation) -> list[Observation]:
        """Stand-ins for the frames that never came, evenly spaced."""
        if not self._seen:
            return []
        last = self._seen[-1]
        count = round((observation.stamp_ns - last.stamp_ns) / self._frame_ns)
        dx, dy, turn = relative_motion(last.pose, observation.pose)
        found = []
        for share in (k / count for k in range(1, count)):
            place = to_map(share * np.array([dx, dy]), last.pose)
            pose = np.append(place, last.pose[2] + share * turn)
            stamp = last.stamp_ns + round(share * (observation.stamp_ns - last.stamp_ns))
            found.append(replace(observation, stamp_ns=stamp, pose=pose))
        return found

    def _step(self, observation: Observation, seen: bool) -> Filtered:
        previous = self._latents[0]
        if previous is None:
            previous = self._backend.initial()
            action, motion = np.zeros(2), np.zeros(3)
        else:
            recent = [*list(self._seen)[1:], observation]
            action = np.mean([[o.command.steer, o.command.accel] for o in recent], axis=0)
            motion = relative_motion(self._seen[0].pose, observation.pose)
        first = self._latents[0] is None
        filtered, trace, failure = None, None, ""
        if seen:
            try:
                filtered, trace = self._observe(previous, action, motion, observation)
            except UserError:  # the model is asked to drive without what it needs
                raise
            except Exception as error:  # an engine may raise anything, and driving must go on
                failure = f"the model failed: {type(error).__name__}: {error}"
            else:
                failure = "" if _is_finite(filtered.latent) else "the latent is not finite"
        if filtered is None or failure:
            # No trace: its running means would compare steps that are not neighbours.
            filtered, trace = self._imagine(previous, action, motion, observation, failure), None
        elif first:
            filtered = replace(filtered, surprise=0.0)
        self._unseen = self._unseen + 1 if filtered.imagined else 0
        self._begun |= not filtered.imagined
        self._latents.append(filtered.latent)
        self._traces.append(trace)
        self._seen.append(observation)
        return filtered

    def _imagine(self, latent: Any, action, motion, seen: Observation, failure: str) -> Filtered:
        """One step of the prior, less certain with each one in a row."""
        latent = self._backend.predict(latent, action, motion, seen.state)
        if not _is_finite(latent):
            raise ArithmeticError("the imagined latent is not finite")
        usual = getattr(self._backend, "novelty", None)
        novelty = None if usual is None else usual.threshold + RAISED * (self._unseen + 1)
        return Filtered(latent, 0.0, novelty, imagined=True, failure=failure)

    def _observe(self, latent: Any, action, motion, seen: Observation) -> tuple[Filtered, Any]:
        """One step of the model with a look at the world, and the trace of its novelty."""
        if getattr(self._backend, "novelty", None) is None:
            latent, surprise = self._backend.observe(latent, action, motion, seen)
            return Filtered(latent, float(surprise)), None
        latent, surprise, trace, novelty = self._backend.observe_judged(
            latent, self._traces[0], action, motion, seen
        )
        return Filtered(latent, surprise, novelty), trace


def _is_finite(latent: Any) -> bool:
    return bool(np.isfinite(np.asarray(getattr(latent, "deter", 0.0))).all())
