"""How much of the world was missed lately: one frame, many, or all of them.

Pure bookkeeping over simulated time: frames that were seen and frames that were not. The ladder:

- more than a fifth of ten seconds' frames missed: be careful, until a second is clean;
- nothing seen for 0.2 s: a warning; for 0.5 s: stop. A stop that is latched stays until the node is
  activated again or a new episode begins: whoever engages decides that the sensor is sound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# Fault matrix; openpilot's modeld calls itself lagging from 20 % of dropped frames on.
SHARE, WINDOW_S, CLEAN_S = 0.2, 10.0, 1.0
SILENT_WARN_S, SILENT_STOP_S = 0.2, 0.5
GAP_S = 1.0  # a longer gap is another drive, or a pause, and no loss
TOLERANCE_S = 0.005  # stamps are truncated float seconds


@dataclass(frozen=True)
class Missed:
    """What follows from the frames missed until now.

    Attributes:
        silent_s: simulated time since a frame was seen.
        degraded: too many of the last frames were missed: drive with caution.
        warning: in words, empty when nothing is wrong.
        stop: why the vehicle must stop, empty when it need not.
    """

    silent_s: float = 0.0
    degraded: bool = False
    warning: str = ""
    stop: str = ""


class Misses:
    """Counts the frames of one stream of observations.

    Attributes:
        now: what follows from the frames so far.
        total: frames missed since the start.
    """

    def __init__(self, what: str, frame_dt: float, latch: bool):
        """Set up.

        Args:
            what: is missed, for the texts: "picture of ...".
            frame_dt: seconds between frames.
            latch: a stop stays until :meth:`reset`.
        """
        self._what, self._latch = what, latch
        self._frame_dt = frame_dt
        self._allowed = SHARE * WINDOW_S / frame_dt
        self.total = 0
        self.reset()

    def reset(self) -> None:
        """Begin afresh: nothing was missed yet, and the next frame is the first."""
        self.now = Missed()
        self._missed: deque[float] = deque()  # when, s
        self._seen_s: float | None = None
        self._last_s: float | None = None

    def frame(self, stamp_ns: int, seen: bool) -> Missed:
        """Take one frame; stamps rise. Frames between the last one and this were missed, too.

        Args:
            stamp_ns: of the frame.
            seen: its observation was there.
        """
        now_s = stamp_ns * 1e-9
        if self._seen_s is None or seen:
            self._seen_s = now_s
        missed = [*self._between(now_s), *([] if seen else [now_s])]
        self._last_s = now_s
        self.total += len(missed)
        self._missed.extend(missed)
        while self._missed and self._missed[0] <= now_s - WINDOW_S:
            self._missed.popleft()
        if self._missed and now_s - self._missed[-1] >= CLEAN_S - TOLERANCE_S:
            self._missed.clear()
        silent_s = now_s - self._seen_s
        degraded = len(self._missed) > self._allowed
        self.now = Missed(
            silent_s, degraded, self._warning(silent_s, degraded), self._stop(silent_s)
        )
        return self.now

    def _between(self, now_s: float) -> list[float]:
        """When frames should have come since the last one; none after a longer pause."""
        if self._last_s is None or now_s - self._last_s > GAP_S:
            return []
        count = round((now_s - self._last_s) / self._frame_dt)
        return [self._last_s + k * self._frame_dt for k in range(1, count)]

    def _warning(self, silent_s: float, degraded: bool) -> str:
        if silent_s >= SILENT_WARN_S - TOLERANCE_S:
            return f"no {self._what} for {silent_s:.1f} s"
        if degraded:
            return (
                f"{len(self._missed)} frames of the last {WINDOW_S:g} s had no {self._what}, more "
                f"than {100 * SHARE:g} %: driving with caution"
            )
        return ""

    def _stop(self, silent_s: float) -> str:
        if silent_s >= SILENT_STOP_S - TOLERANCE_S:
            return f"no {self._what} for {SILENT_STOP_S:g} s"
        return self.now.stop if self._latch else ""
