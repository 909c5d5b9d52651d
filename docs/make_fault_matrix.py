"""Writes docs/fault_matrix.md from what the fault tests measured: ``make faults``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HEAD = "\n".join(
    (
        "# Fault matrix",
        "",
        "Every row is a test over the real graph: each node a process, real DDS, the built-in "
        "simulator in lockstep, with [injected faults](faults.md) or a node that is sabotaged, "
        "hung or killed. `make faults` runs them all and writes `runs/faults.json` and this page.",
        "",
        "- *simulated*: frames published between the first faulty one and the reaction, as time; 0 "
        "is the same frame. The control period P is one frame, 0.1 s as shipped.",
        "- *wall*: seconds between two messages by their publishers' clocks, where a wall clock "
        "decides (heartbeats, configure).",
        "- A row outside of its bound fails its test.",
        "- No node of the stack reads `/tf`, poses come with messages: no row lacks a transform. "
        "A late plan is driven when it comes; until then the vehicle holds its "
        "last command, and in lockstep time stands still. What latency and noise cost in driving "
        "score: [evaluation.md](evaluation.md).",
    )
)
COLUMNS = ("fault", "bound", "detected after", "seen in", "reaction", "recovery")


def cell(text: str) -> str:
    """Text for one cell of a table."""
    return text.replace("|", "/").replace("\n", " ")


def page(rows: list[dict]) -> str:
    """The page, one table per group of rows."""
    parts = [HEAD]
    for group in dict.fromkeys(row["group"] for row in rows):
        parts.append(f"\n## {group[0].upper()}{group[1:]}\n")
        parts.append("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
        for row in (row for row in rows if row["group"] == group):
            nothing = row["seen_in"].startswith("nothing")
            measured = (
                "-"
                if nothing
                else f"{row['detect_s']:g} s"
                if row["detect_s"] is not None
                else "never"
            )
            cells = (
                row["fault"],
                "-" if nothing else f"{row['bound_s']:g} s {row['clock']}",
                measured if row["ok"] else f"**{measured}, failed**",
                row["seen_in"],
                row["reaction"],
                row["recovery"],
            )
            parts.append("| " + " | ".join(map(cell, cells)) + " |")
    good = sum(row["ok"] for row in rows)
    parts.append(f"\n{good} of {len(rows)} rows are inside their bounds.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(page(json.loads(source.read_text())["rows"]))
