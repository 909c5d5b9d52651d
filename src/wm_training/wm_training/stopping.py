"""When a training run ends: at Ctrl-C or SIGTERM after its step, or when its budget is spent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest:
    """Whether somebody asked for a stop.

    Attributes:
        made: it was asked for.
    """

    def __init__(self) -> None:
        self.made = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within, Ctrl-C and SIGTERM make the request instead of raising."""

        def request(signum, frame) -> None:
            self.made = True

        try:
            before = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: the caller handles signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def spent(steps: int | None, minutes: float | None, step: int, elapsed_s: float) -> float:
    """Share of a run's budget that is spent, 0 to 1; the budget is in steps or in minutes."""
    if steps is not None:
        return step / steps
    assert minutes is not None, "a run has a budget in steps or in minutes"
    return elapsed_s / (60.0 * minutes)
