"""Bookkeeping of frames: which one was answered, which one waits, and for how long."""

from __future__ import annotations

from collections import deque

# Bridges truncate stamps to float seconds: the same instant may differ by a nanosecond or so.
STAMP_TOLERANCE_NS = 1_000_000
REMEMBERED = 64
LONG_AGO_NS = -(2**63)


class FrameLedger:
    """Remembers when each frame arrived and up to which stamp frames were answered.

    A frame is answered at most once, and answering a frame settles all earlier ones. While the
    simulation is paused nothing waits and nothing ages. Times are a steady clock's, in seconds.

    Attributes:
        newest_ns: stamp of the newest frame; long ago before the first.
        paused: whether the simulation stands still.
    """

    def __init__(self, paused: bool = False):
        self.newest_ns = LONG_AGO_NS
        self.paused = paused
        self._settled_ns = LONG_AGO_NS
        self._settled_wall_s = 0.0
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)

    def is_new(self, stamp_ns: int) -> bool:
        """Whether this frame comes after all known ones."""
        return stamp_ns > self.newest_ns + STAMP_TOLERANCE_NS

    def arrive(self, stamp_ns: int, wall_s: float) -> None:
        """A new frame arrived."""
        self.newest_ns = stamp_ns
        self._arrivals.append((stamp_ns, wall_s))

    def is_settled(self, stamp_ns: int) -> bool:
        """Whether this frame was answered, or a later one was."""
        return stamp_ns <= self._settled_ns + STAMP_TOLERANCE_NS

    def settle(self, stamp_ns: int, wall_s: float) -> None:
        """The frame was answered now. Answering it again changes nothing."""
        if not self.is_settled(stamp_ns):
            self._settled_ns, self._settled_wall_s = stamp_ns, wall_s

    @property
    def has_open(self) -> bool:
        """Whether a frame has no answer yet."""
        return not self.is_settled(self.newest_ns)

    def wait_s(self, wall_s: float) -> float:
        """For how long the oldest open frame has been waiting for its answer."""
        open_since = (wall for stamp, wall in self._arrivals if not self.is_settled(stamp))
        return 0.0 if self.paused else wall_s - next(open_since, wall_s)

    def age_s(self, wall_s: float) -> float:
        """For how long the next frame has been owed.

        In lockstep the simulator waits for the answer, so a frame is owed only from the answer on.
        """
        if self.paused or self.has_open or not self._arrivals:
            return 0.0
        return wall_s - max(self._arrivals[-1][1], self._settled_wall_s)

    def latency_s(self, stamp_ns: int, wall_s: float) -> float | None:
        """Time since this frame arrived, or None when it is not known."""
        for stamp, arrived in reversed(self._arrivals):
            if abs(stamp - stamp_ns) <= STAMP_TOLERANCE_NS:
                return 0.0 if self.paused else wall_s - arrived
        return None

    def pause(self, paused: bool, wall_s: float) -> None:
        """The simulation was paused or resumed; waiting times count from the resumption."""
        if self.paused and not paused:
            resumed = ((stamp, wall_s) for stamp, _ in self._arrivals)
            self._arrivals = deque(resumed, maxlen=REMEMBERED)
        self.paused = paused
