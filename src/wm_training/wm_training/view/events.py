"""What is worth a line in the list of events: a gate or a planner that changed its mind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def gate_event(state: str, reason: str = "") -> tuple[str, int]:
    """Text and level (0 neutral, 1 warning, 2 error) of a line about the gate's new state."""
    level = {"NOMINAL": 0, "WAITING": 0, "HOLD": 1, "COMFORT_STOP": 1}.get(state, 2)
    return ", ".join(filter(None, (f"gate: {state.replace('_', ' ').lower()}", reason))), level


def doubt_event(level: int, reason: str = "") -> tuple[str, int]:
    """Text and level of a line about the planner's doubt."""
    said = ("no doubt any more", "in doubt", "asks to stop")[min(level, 2)]
    return ", ".join(filter(None, (f"planner: {said}", reason))), min(level, 2)


def changes(rows: list[list], columns: Sequence[str]) -> list[tuple[float, str, int]]:
    """Time (s), text and level of every change between rows of the past.

    Args:
        rows: of the plots.
        columns: their names; ``t``, ``gate`` and ``doubt`` are looked at.
    """
    when, gate, doubt = (columns.index(name) for name in ("t", "gate", "doubt"))
    found = []
    for before, after in pairwise(rows):
        if after[gate] and after[gate] != before[gate]:
            found.append((after[when], *gate_event(after[gate])))
        if after[doubt] is not None and after[doubt] != (before[doubt] or 0):
            found.append((after[when], *doubt_event(after[doubt])))
    return found
