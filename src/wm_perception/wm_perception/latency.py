"""From sensor to command: how long each stage takes, by the middleware's own stamps.

DDS stamps every message with the wall time at which it was sent, and whatever is made of a frame
carries the frame's stamp. So the way of a frame through the nodes can be told from outside, and no
message needs a field for it. Between machines the clocks must agree (NTP, PTP).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

KEPT_STAMPS = 256
KEPT_TIMES = 2000  # that percentiles are of
MS, NS_PER_MS = 1e-6, 1_000_000
EDGES_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0, 500.0, 1000.0)


def now_ns() -> int:
    """Wall time, on the clock of the middleware's stamps."""
    return time.time_ns()


class Sent:
    """When the messages of recent frames were sent; what came twice counts the first time."""

    def __init__(self, kept: int = KEPT_STAMPS):
        self._times: dict[int, int] = {}
        self._order: deque[int] = deque()
        self._kept = kept

    def note(self, stamp_ns: int, sent_ns: int) -> None:
        """A message of the frame ``stamp_ns`` was sent at ``sent_ns`` of wall time."""
        key = _key(stamp_ns)
        if key in self._times:
            return
        self._times[key] = sent_ns
        self._order.append(key)
        if len(self._order) > self._kept:
            self._times.pop(self._order.popleft(), None)

    def of(self, stamp_ns: int) -> int | None:
        """Wall time at which that frame's message was sent; None where it is not known."""
        key = _key(stamp_ns)
        # Stamps of carla-ros-bridge are truncated, so they may be a unit apart.
        return next((self._times[k] for k in (key, key - 1, key + 1) if k in self._times), None)

    def take(self, stamp_ns: int) -> int | None:
        """As :meth:`of`, once: what answers the same frame again is no later answer to it."""
        sent_ns = self.of(stamp_ns)
        for key in range(_key(stamp_ns) - 1, _key(stamp_ns) + 2):
            self._times.pop(key, None)
        return sent_ns


def _key(stamp_ns: int) -> int:
    return round(stamp_ns / NS_PER_MS)


class Latencies:
    """Times by stage, counted since the start."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._counts: dict[str, np.ndarray] = {}

    def add(self, stage: str, since_ns: int | None, until_ns: int | None = None) -> None:
        """One frame took from ``since_ns`` until then, or now; nothing is known of None."""
        if since_ns is None:
            return
        took_ms = ((now_ns() if until_ns is None else until_ns) - since_ns) * MS
        recent = self._recent.setdefault(stage, deque(maxlen=KEPT_TIMES))
        counts = self._counts.setdefault(stage, np.zeros(len(EDGES_MS) + 1, int))
        recent.append(took_ms)
        counts[_bin(took_ms)] += 1

    def values(self) -> dict[str, str]:
        """Stage -> percentiles of the last ``KEPT_TIMES`` frames and a histogram of all."""
        return {
            stage: f"p50 {np.percentile(times, 50):.1f}, p99 {np.percentile(times, 99):.1f} ms; "
            + ", ".join(f"{name}: {n}" for name, n in histogram(self._counts[stage]).items() if n)
            for stage, times in self._recent.items()
        }


def _bin(took_ms: float) -> int:
    return int(np.searchsorted(EDGES_MS, took_ms))


def histogram(counts: Sequence[int] | np.ndarray) -> dict[str, int]:
    """Counts by bin, "<= EDGE ms" and one for what is beyond the last."""
    names = [*(f"<= {edge:g}" for edge in EDGES_MS), f"> {EDGES_MS[-1]:g}"]
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def summary(times_ms: Mapping[str, Sequence[float]]) -> dict[str, dict]:
    """Stage -> frames, percentiles (ms) and histogram, for a report; stages without times are left.

    Args:
        times_ms: stage -> ms, one for each frame.
    """
    found = {}
    for stage, times in times_ms.items():
        if not times:
            continue
        bins = np.searchsorted(EDGES_MS, times)
        found[stage] = {
            "frames": len(times),
            "p50": float(np.percentile(times, 50)),
            "p99": float(np.percentile(times, 99)),
            "most": float(max(times)),
            "histogram_ms": histogram(np.bincount(bins, minlength=len(EDGES_MS) + 1)),
        }
    return found
