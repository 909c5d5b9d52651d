"""Messages of one stamp each, on their way to become frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

TOLERANCE_NS = 1_000_000  # stamps are truncated float seconds: they may be a little low
MAX_PENDING = 20


@dataclass
class Partial:
    """What has arrived so far for one stamp, since when (s)."""

    stamp_ns: int
    since_s: float = 0.0
    parts: dict[str, Any] = field(default_factory=dict)


class Partials:
    """Those that are not complete, in order of their stamps."""

    def __init__(self, needed: tuple[str, ...]):
        """Args: needed: keys of the topics that a frame is made of."""
        self._needed = needed
        self._waiting: list[Partial] = []

    def __iter__(self) -> Iterator[Partial]:
        return iter(list(self._waiting))

    def add(self, key: str, stamp_ns: int, message: Any, now_s: float) -> list[Partial]:
        """Take a message; what there is no room for any more, removed."""
        for partial in self._waiting:
            if abs(partial.stamp_ns - stamp_ns) <= TOLERANCE_NS:
                partial.parts[key] = message
                return []
        self._waiting.append(Partial(stamp_ns, now_s, {key: message}))
        self._waiting.sort(key=lambda p: p.stamp_ns)
        return self.take_before(self._waiting[1].stamp_ns) if len(self) > MAX_PENDING else []

    def __len__(self) -> int:
        return len(self._waiting)

    def missing(self, partial: Partial) -> list[str]:
        """Keys of what it lacks."""
        return [key for key in self._needed if key not in partial.parts]

    def complete(self) -> Partial | None:
        """The oldest that lacks nothing."""
        return next((p for p in self._waiting if not self.missing(p)), None)

    def overdue(self, since_s: float, limit_ns: int) -> Partial | None:
        """The newest with odometry that has been waiting since then or longer, up to a stamp."""
        waiting = (p for p in reversed(self._waiting) if "odometry" in p.parts)
        return next((p for p in waiting if p.since_s <= since_s and p.stamp_ns < limit_ns), None)

    def take_before(self, stamp_ns: int) -> list[Partial]:
        """Remove and return those before a stamp."""
        taken = [p for p in self._waiting if p.stamp_ns < stamp_ns]
        self._waiting = self._waiting[len(taken) :]
        return taken

    def remove(self, partial: Partial) -> None:
        """It became a frame."""
        self._waiting.remove(partial)
