"""``wm report``: a page of evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wm_dynamics.errors import UserError
from wm_training.report import make_console
from wm_training.report_files import read_reports
from wm_training.report_page import title_of, write_page


@dataclass(frozen=True)
class Args:
    """Write one HTML page of evaluations: scores, infractions, comparisons, maps and videos.

    The page needs nothing but itself. Videos are those of `wm eval --videos`.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Reports of `wm eval --json` or `wm drive --json`."""
    out: Path
    """Folder to write index.html into."""
    title: str | None = None
    """Heading of the page."""


def main(args: Args) -> None:
    """Write the page."""
    if not args.files:
        raise UserError("a page needs at least one report of `wm eval --json`")
    found = [(report, file.parent) for file in args.files for report in read_reports(file)]
    reports, folders = [r for r, _ in found], [f for _, f in found]
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "index.html"
    write_page(args.title or title_of(reports), reports, folders, path)
    size = path.stat().st_size / 1e6
    make_console().print(f"{path} ({size:.1f} MB)")
