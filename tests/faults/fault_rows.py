"""The rows of the fault matrix as they are measured, and what they are written to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One fault.

    Attributes:
        fault: what is injected.
        bound_s: within which it must be detected.
        clock: ``simulated`` or ``wall``.
        group: row of the specification that it belongs to.
        detect_s: what was measured; None while nothing was.
        seen_in: where the detection was heard.
        reaction: what followed.
        recovery: what ended it.
        ok: everything was as required.
    """

    fault: str
    bound_s: float
    clock: str
    group: str
    detect_s: float | None = None
    seen_in: str = ""
    reaction: str = ""
    recovery: str = ""
    ok: bool = False

    def detected(self, seconds: float, where: str) -> None:
        """It was noticed; must be within the bound (a frame's stamp is cut, not rounded)."""
        self.detect_s, self.seen_in = round(max(0.0, seconds), 3), where
        assert seconds <= self.bound_s + 1e-6, f"detected after {seconds:.3f} s in {where}"


@dataclass
class Matrix:
    """All rows measured so far."""

    rows: list[Row] = field(default_factory=list)

    @contextmanager
    def row(
        self, group: str, fault: str, bound_s: float, clock: str = "simulated"
    ) -> Iterator[Row]:
        """Measure one; it is ok when the block ends without an exception."""
        row = Row(fault, bound_s, clock, group)
        self.rows.append(row)
        yield row
        assert row.detect_s is not None and row.reaction and row.recovery, "nothing was measured"
        row.ok = True

    def write(self, path: Path) -> None:
        """As JSON, rows that were measured before by another run kept."""
        rows = {}
        if path.exists():
            rows = {row["fault"]: row for row in json.loads(path.read_text())["rows"]}
        rows |= {row.fault: asdict(row) for row in self.rows}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"rows": list(rows.values())}, indent=1) + "\n")
