"""Fault injection: between the bridge's messages and the topics they are sent on.

A :class:`FaultInjector` takes each message before it is published (or, for an input, before the
bridge acts on it) and answers with what shall go on instead: nothing, the same message, a changed
copy, several. Faults on one topic work in the order of the list. Every fault has random numbers of
its own for every topic, so that none of them depends on what else is being published.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from wm_sim import faults_changes as changes
from wm_sim.faults_spec import EVERY_TOPIC, Fault
from wm_sim.faults_stages import STAGES, Latency, Now, Stage


def applies(fault: Fault, cls: type) -> str:
    """Why a fault cannot hit messages of a class; empty when it can."""
    path = fault.path
    part = f"no field {fault.field!r} with" if path else "no"
    if fault.kind in ("nan", "noise", "scale") and not changes.has_numbers(cls, path):
        return f"{cls.__name__} has {part} floating-point numbers, pixels or points"
    if fault.kind == "clock_jump" and not changes.has_stamps(cls):
        return f"{cls.__name__} has no stamp"
    if fault.kind == "wrong_encoding" and not changes.has_encoding(cls):
        return f"{cls.__name__} is no image"
    if fault.kind == "wrong_size" and not changes.sized_field(cls, path):
        return f"{cls.__name__} has {part} content of variable size"
    return ""


class FaultInjector:
    """Applies a list of faults to messages by topic key.

    Attributes:
        faults: the list.
        origin_ns: stamp from which the faults' times are counted; None before the first message.
        seed: of the random numbers.
        inputs: keys of topics that are listened to.
    """

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0, inputs: Iterable[str] = ()):
        """Set up.

        Args:
            faults: to begin with.
            seed: of all random numbers, with topic and fault.
            inputs: keys of topics that are listened to: ``*`` spares them, and a delay there is a
                vehicle that lags (:class:`Latency`).
        """
        self.inputs = set(inputs)
        self._frame, self._stamp_ns = 0, -1
        self._stages: dict[str, list[Stage]] = {}
        self.replace(tuple(faults), None, seed)

    def replace(self, faults: Iterable[Fault], origin_ns: int | None, seed: int) -> None:
        """Begin with another list, or with the same one again; what was held is forgotten.

        Args:
            faults: the list.
            origin_ns: stamp from which their times are counted; None: that of the next message.
            seed: of their random numbers.
        """
        self.faults, self.origin_ns, self.seed = tuple(faults), origin_ns, seed
        self._stages.clear()

    def apply(self, key: str, message: Any, stamp_ns: int) -> list[Any]:
        """What goes on in place of a message.

        Args:
            key: topic key.
            message: is not changed; a copy is.
            stamp_ns: of the current frame.
        """
        if not self.faults:
            return [message]
        now = self._now(stamp_ns)
        stages = self._stages.get(key)
        if stages is None:
            stages = self._stages[key] = self._make(key, type(message))
        return self._run(stages, [message], now)

    def release(self, stamp_ns: int) -> list[tuple[str, Any]]:
        """(key, message) of what was delayed and is due without a newer message of its topic.

        Args:
            stamp_ns: of the current frame.
        """
        now = self._now(stamp_ns)
        return [
            (key, message)
            for key, stages in self._stages.items()
            for message in self._run(stages, [], now)
        ]

    def _now(self, stamp_ns: int) -> Now:
        if self.origin_ns is None:
            self.origin_ns = stamp_ns
        self._frame += stamp_ns != self._stamp_ns
        self._stamp_ns = stamp_ns
        return Now(self._frame, stamp_ns, stamp_ns - self.origin_ns)

    @staticmethod
    def _run(stages: list[Stage], messages: list[Any], now: Now) -> list[Any]:
        for stage in stages:
            taken = [result for message in messages for result in stage.take(message, now)]
            messages = stage.due(now) + taken
        return messages

    def _make(self, key: str, cls: type) -> list[Stage]:
        made: list[Stage] = []
        repeated: Counter[str] = Counter()
        for fault in self.faults:
            everywhere = fault.topic == EVERY_TOPIC and key not in self.inputs
            if fault.topic != key and not (everywhere and not applies(fault, cls)):
                continue
            number = repeated[fault.text]
            repeated[fault.text] += 1
            tags = (zlib.crc32(text.encode()) for text in (key, fault.text))
            rng = np.random.default_rng([self.seed, *tags, number])
            lags = fault.kind == "delay" and key in self.inputs
            made.append(Latency(fault, rng) if lags else STAGES[fault.kind](fault, rng))
        return made
