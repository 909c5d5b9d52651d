"""The frames of the last second as the model knew them: what it believed, saw and did."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from wm_dynamics.rollout import LatentState
from wm_planner.expectation import Moment

TOLERANCE_NS = 20_000_000  # two stamps so close are of one frame


@dataclass
class Known:
    """What is known of one frame so far.

    Attributes:
        latent: the belief; None: not heard yet.
        state: (5,) scaled proprioception: its steer and accel led to this frame.
        mask: (S, S) bit mask; None: not heard yet.
    """

    stamp_ns: int
    latent: LatentState | None = None
    state: np.ndarray = field(default_factory=lambda: np.zeros(5, np.float32))
    mask: np.ndarray | None = None


class ImaginationMemory:
    """Beliefs and masks by frame; two topics bring them, in any order."""

    def __init__(self, frames: int):
        """Args: frames: how many to remember."""
        self._frames: deque[Known] = deque(maxlen=frames)

    def forget(self) -> None:
        """An episode begins."""
        self._frames.clear()

    def believed(self, stamp_ns: int, latent: LatentState, state: np.ndarray) -> None:
        """The belief after a frame."""
        known = self._at(stamp_ns)
        known.latent, known.state = latent, state

    def saw(self, stamp_ns: int, mask: np.ndarray) -> None:
        """What was seen of a frame."""
        self._at(stamp_ns).mask = mask

    def _at(self, stamp_ns: int) -> Known:
        if self._frames and stamp_ns < self._frames[-1].stamp_ns - TOLERANCE_NS:
            found = self._find(stamp_ns)
            if found is None:  # time went back: another simulation
                self.forget()
        found = self._find(stamp_ns)
        if found is None:
            found = Known(stamp_ns)
            self._frames.append(found)
        return found

    def _find(self, stamp_ns: int) -> Known | None:
        for known in reversed(self._frames):
            if abs(known.stamp_ns - stamp_ns) <= TOLERANCE_NS:
                return known
        return None

    def moment(self, stamp_ns: int) -> Moment | None:
        """All about a frame, or None while something is missing."""
        known = self._find(stamp_ns)
        if known is None or known.latent is None or known.mask is None:
            return None
        return Moment(known.latent, known.state, known.mask)

    def driven(self, since_ns: int, step_ns: int, steps: int) -> np.ndarray | None:
        """(steps, 2) steer and accel as they were after a frame, mean of each step; None: unknown.

        Args:
            since_ns: stamp of the frame.
            step_ns: of the model.
            steps: how many.
        """
        rows = []
        for step in range(steps):
            first, last = since_ns + step * step_ns, since_ns + (step + 1) * step_ns
            taken = [
                known.state[2:4]
                for known in self._frames
                if known.latent is not None
                and first + TOLERANCE_NS < known.stamp_ns <= last + TOLERANCE_NS
            ]
            if not taken:
                return None
            rows.append(np.mean(taken, axis=0))
        return np.array(rows)
