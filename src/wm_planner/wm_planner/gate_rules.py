"""What a checked rule says, and how often something happened of late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

RECENT_NS = 1_000_000_000


@dataclass(frozen=True)
class Rule:
    """One checked rule: what was measured, what is allowed, whether it was violated.

    Attributes:
        name, value, limit, tripped: see above.
        unit: of value and limit; "1" for a number without one.
    """

    name: str
    value: float
    limit: float
    tripped: bool
    unit: str


class RecentCount:
    """Counts the frames of the last simulated second in which something happened.

    Args:
        name: of the rule.
        most: frames that are not yet persistent.
    """

    def __init__(self, name: str, most: int):
        self._name, self._most = name, most
        self._stamps: deque[int] = deque()

    def add(self, stamp_ns: int, happened: bool) -> None:
        """It happened in frame ``stamp_ns``, or not; stamps never decrease."""
        if happened and (not self._stamps or stamp_ns > self._stamps[-1]):
            self._stamps.append(stamp_ns)
        while self._stamps and self._stamps[0] < stamp_ns - RECENT_NS:
            self._stamps.popleft()

    @property
    def rule(self) -> Rule:
        """Tripped while it is persistent."""
        count = len(self._stamps)
        return Rule(self._name, float(count), float(self._most), count > self._most, "1")
