"""Matches speedometer samples, which carry no stamp, with frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

KEPT = 20
SPEED_FIT_MPS = 0.05


@dataclass(frozen=True)
class Measured:
    """Stands in for a speedometer sample that got lost; m/s."""

    data: float


class SpeedQueue:
    """Samples in order of arrival.

    Attributes:
        skipped: samples that belonged to no frame.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._samples: deque[Any] = deque(maxlen=KEPT)
        self._taken: Any = None
        self._waited_for = False

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Any) -> None:
        """One more std_msgs/Float32."""
        self._samples.append(sample)

    def restart(self) -> None:
        """Time went back: only the last sample may be of the new time."""
        self._samples = deque(list(self._samples)[-1:], KEPT)
        self._taken, self._waited_for = None, False

    def pop(self) -> Any:
        """The oldest sample, None when there is none."""
        return self._samples.popleft() if self._samples else None

    def take(self, vehicle_status, by_speed: bool) -> Any:
        """The sample of a frame, or None when it has yet to come.

        Normally exactly one is there. Of several, the one that fits the stamped magnitude is taken
        and the older ones are dropped. When none is there, the last one serves again if it is equal
        to the magnitude, or near it and the frame before had to wait for it: then a sample was lost
        and that one was this frame's, and no later frame needs to wait.

        Args:
            vehicle_status: of the frame.
            by_speed: a sample is what came just now: the frame had to wait for it.
        """

        def misfit(sample) -> float:
            return abs(abs(sample.data) - vehicle_status.velocity)

        if not self._samples:
            tolerance = SPEED_FIT_MPS if self._waited_for else 0.0
            if self._taken is None or misfit(self._taken) > tolerance:
                return None
        else:
            index = 0
            if len(self._samples) > 1:
                index = min(range(len(self._samples)), key=lambda i: misfit(self._samples[i]))
            for _ in range(index):
                self._samples.popleft()
            self.skipped += index
            self._taken = self._samples.popleft()
        self._waited_for = by_speed
        return self._taken
