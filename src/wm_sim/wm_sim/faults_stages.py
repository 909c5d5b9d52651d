"""What each kind of fault does with the messages of one topic, one after the other."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from wm_sim import faults_changes as changes
from wm_sim.faults_changes import NANOSECONDS
from wm_sim.faults_spec import Fault

STAMP_TOLERANCE_NS = 1_000_000  # the bridge's stamps are cut, not rounded


@dataclass(frozen=True)
class Now:
    """When a message passes: number of the frame, its stamp, and ns since faults are counted."""

    frame: int
    stamp_ns: int
    since_ns: int


class Stage:
    """One fault on one topic: what happens to the messages that are hit.

    Messages outside of the fault's time, or spared by its probability, go on unchanged.
    """

    def __init__(self, fault: Fault, rng: np.random.Generator):
        self._fault, self._rng = fault, rng
        self._start_ns = fault.start_s * NANOSECONDS - STAMP_TOLERANCE_NS
        self._end_ns = self._start_ns + fault.duration_s * NANOSECONDS

    def _over(self, now: Now) -> bool:
        """The fault's time has passed."""
        return now.since_ns >= self._end_ns

    def take(self, message: Any, now: Now) -> list[Any]:
        """What goes on in place of a message."""
        fault = self._fault
        due = self._start_ns <= now.since_ns and not self._over(now)
        if due and (fault.probability == 1.0 or self._rng.random() < fault.probability):
            return self._hit(message, now)
        return self._spare(message)

    def _hit(self, message: Any, now: Now) -> list[Any]:
        """What goes on in place of a message that is hit."""
        raise NotImplementedError

    def _spare(self, message: Any) -> list[Any]:
        """What goes on in place of any other message."""
        return [message]

    def due(self, now: Now) -> list[Any]:
        """What had been held and goes on now, before anything that is taken now."""
        return []


class Drop(Stage):
    """Lose messages: all, every n-th, or at random."""

    _count = 0

    def _hit(self, message: Any, now: Now) -> list[Any]:
        value = self._fault.value
        if value < 1.0:
            return [] if self._rng.random() < value else [message]
        self._count += 1
        return [] if self._count % int(value) == 0 else [message]


class Duplicate(Stage):
    """Send each message several times."""

    def _hit(self, message: Any, now: Now) -> list[Any]:
        return [message] * int(self._fault.value)


class Delay(Stage):
    """Hold messages for some frames, first in, first out; let all go when the fault ends."""

    def __init__(self, fault: Fault, rng: np.random.Generator):
        super().__init__(fault, rng)
        self._held: deque[tuple[int, Any]] = deque()

    def _hit(self, message: Any, now: Now) -> list[Any]:
        self._held.append((now.frame + int(self._fault.value), copy.deepcopy(message)))
        return []

    def due(self, now: Now) -> list[Any]:
        """What has been held long enough."""
        found = []
        while self._held and (self._held[0][0] <= now.frame or self._over(now)):
            found.append(self._held.popleft()[1])
        return found


class Latency(Stage):
    """Delay on an input: each command is answered with the one of some frames ago.

    It carries the new command's stamp and goes on at once, so that lockstep goes on too: what lags
    is the vehicle, not the network. Until there is an old one, the last is held.
    """

    def __init__(self, fault: Fault, rng: np.random.Generator):
        super().__init__(fault, rng)
        self._given: deque[tuple[int, Any]] = deque()
        self._last: Any = None

    def _hit(self, message: Any, now: Now) -> list[Any]:
        self._given.append((now.frame + int(self._fault.value), copy.deepcopy(message)))
        if self._last is None:
            self._last = type(message)()
        while self._given and self._given[0][0] <= now.frame:
            self._last = self._given.popleft()[1]
        return [_restamped(self._last, message, now)]

    def _spare(self, message: Any) -> list[Any]:
        self._last = message
        return [message]


class Freeze(Stage):
    """Repeat the last message before the fault, with the stamps of the new ones."""

    _last: Any = None

    def _hit(self, message: Any, now: Now) -> list[Any]:
        if self._last is None:
            self._spare(message)
        if self._fault.value:
            return [self._last]
        return [_restamped(self._last, message, now)]

    def _spare(self, message: Any) -> list[Any]:
        self._last = copy.deepcopy(message)
        return [message]


class Alter(Stage):
    """Change the content of a copy."""

    def _hit(self, message: Any, now: Now) -> list[Any]:
        fault, changed = self._fault, copy.deepcopy(message)
        if fault.kind == "clock_jump":
            changes.shift_stamps(changed, fault.value)
        elif fault.kind == "wrong_encoding":
            changes.mislabel(changed, int(fault.value))
        elif fault.kind == "wrong_size":
            changes.cut(changed, fault.path, fault.value)
        else:
            changes.change_numbers(changed, fault.path, self._change())
        return [changed]

    def _change(self) -> changes.Change:
        value, rng = self._fault.value, self._rng
        if self._fault.kind == "scale":
            return partial(changes.scale, factor=value)
        if self._fault.kind == "noise":
            return partial(changes.add_noise, sigma=value, rng=rng)
        return partial(changes.spoil, share=value, rng=rng)


def _restamped(content: Any, new: Any, now: Now) -> Any:
    """A copy of ``content`` with the stamp of ``new``."""
    result, stamp_ns = copy.deepcopy(content), changes.own_stamp_ns(new)
    changes.set_stamps(result, now.stamp_ns if stamp_ns is None else stamp_ns)
    return result


STAGES: dict[str, Callable[[Fault, np.random.Generator], Stage]] = {
    "drop": Drop,
    "delay": Delay,
    "freeze": Freeze,
    "nan": Alter,
    "noise": Alter,
    "scale": Alter,
    "clock_jump": Alter,
    "duplicate": Duplicate,
    "wrong_encoding": Alter,
    "wrong_size": Alter,
}
