"""What a fault is, and its text form: ``odometry:delay:3``, ``image:drop:0.2@5+10``.

The text form is ``TOPIC[.FIELD]:KIND[:VALUE][%PROBABILITY][@START][+DURATION]``, with the topic's
key in the one table of topics, times in simulated seconds and probabilities in (0, 1].
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from wm_dynamics.errors import UserError

EVERY_TOPIC = "*"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TEXT = re.compile(
    rf"(?P<topic>\*|[^:.\s]+)(?P<field>(?:\.\w+)*):(?P<kind>\w+)(?::(?P<value>{_NUMBER}))?"
    rf"(?:%(?P<probability>{_NUMBER}))?(?:@(?P<start_s>{_NUMBER}))?(?:\+(?P<duration_s>{_NUMBER}))?"
)
_FORM = "TOPIC.FIELD:KIND:VALUE%PROBABILITY@START+DURATION"


class Kind(NamedTuple):
    """A kind of fault.

    Attributes:
        default: value when none is given; None: it must be given.
        meaning: of the value, for messages to people.
        valid: whether a finite value is allowed.
    """

    default: float | None
    meaning: str
    valid: Callable[[float], bool]


def _whole(low: int, high: int) -> Callable[[float], bool]:
    return lambda value: low <= value <= high and value == int(value)


KINDS: dict[str, Kind] = {
    "drop": Kind(
        1.0,
        "a probability below 1, or n to drop every n-th message",
        lambda value: 0.0 < value < 1.0 or _whole(1, 10**6)(value),
    ),
    "delay": Kind(None, "a number of frames, at most 100", _whole(1, 100)),
    "freeze": Kind(0.0, "0 for a new stamp, 1 to keep the old one", _whole(0, 1)),
    "nan": Kind(1.0, "the share of the numbers that is hit", lambda value: 0.0 < value <= 1.0),
    "noise": Kind(None, "a standard deviation above 0", lambda value: value > 0.0),
    "scale": Kind(None, "a factor", lambda value: True),
    "clock_jump": Kind(None, "seconds, at most 1e9 either way", lambda value: abs(value) <= 1e9),
    "duplicate": Kind(2.0, "how often each message is sent, 2 to 100", _whole(2, 100)),
    "wrong_encoding": Kind(0.0, "0 for 32FC1, 1 for one that does not exist", _whole(0, 1)),
    "wrong_size": Kind(0.5, "the share that is kept, below 1", lambda value: 0.0 <= value < 1.0),
}
# Kinds that change numbers, and so can be confined to a field.
FIELD_KINDS = ("nan", "noise", "scale", "wrong_size")


@dataclass(frozen=True)
class Fault:
    """One fault on one topic.

    Attributes:
        topic: topic key, or ``*`` for everything the bridge publishes.
        kind: a key of :data:`KINDS`.
        value: of the kind; None takes the kind's default.
        probability: with which each message is hit, in (0, 1].
        start_s: simulated seconds after the beginning of the episode, or after the list of faults
            was set, if that was later.
        duration_s: simulated seconds, may be infinite.
        field: dotted path to a part of the message, empty for all of it.

    Raises:
        UserError: unknown kind, or a number that is out of range or not finite.
    """

    topic: str
    kind: str
    value: float = None  # type: ignore[assignment]  # the kind's default is filled in below
    probability: float = 1.0
    start_s: float = 0.0
    duration_s: float = math.inf
    field: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"unknown kind of fault {self.kind!r}; known: {', '.join(KINDS)}")
        if not self.topic:
            raise UserError(f"fault {self.kind!r} names no topic")
        if self.value is None:
            default = KINDS[self.kind].default
            if default is None:
                raise UserError(f"{self.where}: needs {KINDS[self.kind].meaning}")
            object.__setattr__(self, "value", default)
        if not (math.isfinite(self.value) and KINDS[self.kind].valid(self.value)):
            meaning = KINDS[self.kind].meaning
            raise UserError(f"{self.where}: value must be {meaning}; not {self.value:g}")
        if not 0.0 < self.probability <= 1.0:
            raise UserError(f"{self.where}: probability must be in (0, 1], not {self.probability}")
        if not 0.0 <= self.start_s < math.inf:
            raise UserError(f"{self.where}: start must be 0 s or later, not {self.start_s}")
        if not self.duration_s > 0.0:
            raise UserError(f"{self.where}: duration must be above 0 s, not {self.duration_s}")
        if self.field and self.kind not in FIELD_KINDS:
            raise UserError(f"{self.where}: only {', '.join(FIELD_KINDS)} can be given a field")

    @property
    def path(self) -> tuple[str, ...]:
        """The field, name by name."""
        return tuple(filter(None, self.field.split(".")))

    @property
    def where(self) -> str:
        """Topic, field and kind, as in the text form."""
        return f"{self.topic}{'.' * bool(self.field)}{self.field}:{self.kind}"

    @property
    def text(self) -> str:
        """The text form; :func:`parse_fault` gives the same fault back."""
        parts = [f"{self.where}:{_digits(self.value)}"]
        if self.probability < 1.0:
            parts.append(f"%{_digits(self.probability)}")
        if self.start_s > 0.0:
            parts.append(f"@{_digits(self.start_s)}")
        if self.duration_s < math.inf:
            parts.append(f"+{_digits(self.duration_s)}")
        return "".join(parts)


def _digits(value: float) -> str:
    """The shortest text that gives the same number back."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def parse_fault(text: str) -> Fault:
    """The fault that a text describes.

    Raises:
        UserError: it has another form, or says something impossible.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f"{text!r} is no fault; write {_FORM}, of which topic and kind are needed, "
            "e.g. odometry:delay:3 or image:drop:0.2@5+10"
        )
    found = {name: part for name, part in match.groupdict().items() if part}
    numbers = {
        name: float(found[name])
        for name in ("value", "probability", "start_s", "duration_s")
        if name in found
    }
    return Fault(found["topic"], found["kind"], field=found.get("field", "")[1:], **numbers)


def parse_faults(texts: Iterable[str]) -> tuple[Fault, ...]:
    """The faults of a list of texts; one text may hold several, separated by commas.

    Raises:
        UserError: one of them is no fault.
    """
    return tuple(parse_fault(part) for text in texts for part in text.split(",") if part.strip())
