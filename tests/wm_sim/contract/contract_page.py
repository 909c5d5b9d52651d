"""The tables in docs/contract.md from endpoints.yaml.

Run ``python tests/wm_sim/contract/contract_page.py`` after changing the table.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from contract_table import ROWS, SECTIONS, Row

PAGE = Path(__file__).resolve().parents[3] / "docs" / "contract.md"
BEGIN = "<!-- tables: written by tests/wm_sim/contract/contract_page.py -->"
END = "<!-- end of tables -->"


def sentence(fact: str) -> str:
    """A fact's name in words."""
    return fact.replace("_", " ")


def quality(row: Row) -> str:
    """Depth, and whether it is latched."""
    return f"{row.depth}{' latched' if row.latched else ''}" if row.depth else ""


def contents(row: Row) -> str:
    """Frame, encoding, fields and signs."""
    parts = []
    if row.frame_id:
        parts.append(f"frame `{row.frame_id}`")
    if row.encoding:
        parts.append(row.encoding)
    if row.fields:
        fields = ", ".join(f"{name} {offset}" for name, offset, _ in row.fields)
        parts.append(f"{fields} ({row.point_step} bytes)")
    for phase, expected in row.signs.items():
        values = ", ".join(f"{name.lstrip('@')} {sign}" for name, sign in expected.items())
        parts.append(f"{phase}: {values}")
    return "; ".join(parts)


def checked(row: Row) -> str:
    """Facts and remarks."""
    parts = [sentence(fact) for fact in row.facts]
    return "; ".join([*parts, *([row.note] if row.note else [])])


def table(section: str) -> str:
    """The rows of a section."""
    lines = [f"## {SECTIONS[section]}", "", "| endpoint | | type | depth | contents | checked |"]
    lines.append("|---|---|---|---|---|---|")
    for row in ROWS:
        if row.section == section and row.offered:
            name = f"`{row.name}`" if row.type else row.name
            kind = f"`{row.type}`" if row.type else ""
            cells = (name, row.direction, kind, quality(row), contents(row), checked(row))
            lines.append("| " + " | ".join(cells) + " |")
    return re.sub(r" +\|", " |", "\n".join(lines)) + "\n"


def exceptions() -> str:
    """Rows that are not offered, and why."""
    lines = ["## Exceptions", "", "| endpoint | type | why not |", "|---|---|---|"]
    for row in ROWS:
        if row.exception:
            kind = f"`{row.type}`" if row.type else ""
            lines.append(f"| {row.name} | {kind} | {row.exception} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with its tables written anew; the rest of ``text`` stays."""
    left_out = sum(bool(row.exception) for row in ROWS)
    counts = (
        f"{len(ROWS)} rows: {len(ROWS) - left_out} offered and checked, {left_out} exceptions "
        "with a reason, none unchecked.\n"
    )
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    parts = [BEGIN, "", counts, *map(table, SECTIONS), exceptions()]
    return before + "\n".join(parts) + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.stdout.write(f"{PAGE}\n")
