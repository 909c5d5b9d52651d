"""The documentation as the tests read it: pages, code blocks, tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def name_of(page: Path) -> str:
    """For the ids of parametrised tests."""
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def inline_code(page: Path) -> list[str]:
    """What stands in single backticks outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def shell_lines(page: Path) -> list[str]:
    """Commands of the page's bash blocks, continued lines joined, comments dropped."""
    blocks = (body for language, body in FENCE.findall(page.read_text()) if language == "bash")
    lines = (line for body in blocks for line in body.replace("\\\n", " ").splitlines())
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def anchor(heading: str) -> str:
    """The anchor that a heading gets on the web."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Anchors of all headings of a page."""
    return {anchor(h) for h in re.findall(r"^#+ (.+)$", prose(page), re.M)}


def table_rows(page: Path) -> list[list[str]]:
    """Cells of every table row of a page, without backticks and bold."""
    rows = [line for line in prose(page).splitlines() if line.startswith("|")]
    return [
        [c.strip().replace("`", "").replace("**", "") for c in r.split("|")[1:-1]] for r in rows
    ]


def row_of(page: str, first: str, columns: int | None = None) -> list[str]:
    """The one row of a page under ``docs/`` whose first cell is ``first``."""
    rows = [row for row in table_rows(ROOT / "docs" / page) if row[0] == first]
    rows = [row for row in rows if columns is None or len(row) == columns]
    assert len(rows) == 1, f"docs/{page}: expected one row for {first!r}, found {len(rows)}"
    return rows[0]
