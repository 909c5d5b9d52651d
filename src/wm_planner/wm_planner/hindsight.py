"""What was imagined some seconds ago against what was driven since."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

JUMP_M = 5.0  # between two frames: nobody drives that fast, a new episode has begun
NS = 1e-9


@dataclass(frozen=True)
class Comparison:
    """One plan of the past and what became of it, map frame.

    Attributes:
        imagined: (n, 2) where the vehicle was meant to go, m.
        driven: (m, 2) where it went since, m.
        age_s: how long ago it was imagined.
        error_m: from where it was meant to be now to where it is.
    """

    imagined: np.ndarray
    driven: np.ndarray
    age_s: float
    error_m: float


class Hindsight:
    """Remembers plans and positions of the last seconds."""

    def __init__(self, seconds: float):
        """Args: seconds: how far back to compare."""
        self._span_ns = round(seconds * 1e9)
        self.forget()

    def forget(self) -> None:
        """An episode begins."""
        self._plans: deque[tuple[int, np.ndarray, np.ndarray]] = deque()
        self._driven: deque[tuple[int, np.ndarray]] = deque()

    def plan(self, stamp_ns: int, stamps_ns: np.ndarray, path: np.ndarray) -> None:
        """A plan.

        Args:
            stamp_ns: of the frame it answers.
            stamps_ns: (H,) when it wants to be where.
            path: (H, 2) map frame, m.
        """
        self._plans.append((stamp_ns, stamps_ns, path))

    def position(self, stamp_ns: int, xy: np.ndarray) -> None:
        """Where the vehicle is (2,), map frame, m; time or place that jump begin anew."""
        if self._driven:
            before_ns, before = self._driven[-1]
            if stamp_ns <= before_ns or np.hypot(*(xy - before)) > JUMP_M:
                self.forget()
        self._driven.append((stamp_ns, xy))
        # The newest plan that is old enough stays, whoever is older goes.
        while len(self._plans) > 1 and self._plans[1][0] <= stamp_ns - self._span_ns:
            self._plans.popleft()
        since_ns = self._plans[0][0] if self._plans else stamp_ns
        while len(self._driven) > 1 and self._driven[0][0] < since_ns:
            self._driven.popleft()

    def compare(self) -> Comparison | None:
        """The oldest plan remembered; None while there is none with a future that is past."""
        if not self._plans or not self._driven:
            return None
        begun_ns, stamps_ns, path = self._plans[0]
        start = self._driven[0][1]
        now_ns = self._driven[-1][0]
        if now_ns <= begun_ns or self._driven[0][0] > begun_ns:
            return None
        path = np.concatenate([start[None], path])
        times = np.concatenate([[begun_ns], stamps_ns])
        then = min(now_ns, int(times[-1]))
        meant = np.array([np.interp(then, times, path[:, axis]) for axis in (0, 1)])
        driven = np.array([xy for stamp, xy in self._driven if stamp <= then])
        error = np.hypot(*(meant - driven[-1]))
        imagined = np.concatenate([path[times < then], meant[None]])
        return Comparison(
            imagined, np.array([xy for _, xy in self._driven]), (then - begun_ns) * NS, float(error)
        )
