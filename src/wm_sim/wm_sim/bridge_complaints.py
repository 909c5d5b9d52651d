"""Warnings about what clients send, each kind at most once in a while."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_S = 5.0


class Complaints:
    """Says the first complaint of a kind at once and counts those that follow too soon.

    Args:
        warn: takes a text.
        now: steady clock, s.
    """

    def __init__(self, warn: Callable[[str], object], now: Callable[[], float] = time.monotonic):
        self._warn, self._now = warn, now
        self._last_s: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def __call__(self, kind: str, text: str) -> None:
        """Complain.

        Args:
            kind: what it is about; complaints of one kind are said at most every ``PAUSE_S``.
            text: what was wrong and what to do.
        """
        now = self._now()
        if now - self._last_s.get(kind, -PAUSE_S) < PAUSE_S:
            self._held[kind] = self._held.get(kind, 0) + 1
            return
        self._last_s[kind] = now
        more = self._held.pop(kind, 0)
        self._warn(f"{kind}: {text}" + (f" (and {more} more before)" if more else ""))
