"""``wm compare``: two or more reports on identical routes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.box import SIMPLE_HEAD
from rich.table import Table

from wm_dynamics.errors import UserError
from wm_training.comparison import MEASURES, compare
from wm_training.report import make_console, write_json
from wm_training.report_files import read_reports


@dataclass(frozen=True)
class Args:
    """Compare drivers on the routes that both have driven: the first against each of the others."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Reports of `wm eval --json`: two or more, or one of `wm eval --compare`."""
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """Write the comparisons here."""


def comparison_table(comparison: dict[str, Any]) -> Table:
    """A row per measure: both means, the difference with its interval, p."""
    title = f"{comparison['a']} against {comparison['b']}: {comparison['pairs']} drives each"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("measure", no_wrap=True)
    names = [comparison[side].partition(" (")[0] for side in ("a", "b")]  # the title has the rest
    for heading in (*names, "difference", "95 %", "p"):
        table.add_column(heading, justify="right")
    for d in comparison["differences"]:
        table.add_row(
            MEASURES[d["measure"]].label, f"{d['a']:.1f}", f"{d['b']:.1f}",
            f"{d['difference']:+.1f}", f"{d['low']:+.1f} to {d['high']:+.1f}", f"{d['p']:.4f}",
        )  # fmt: skip
    return table


def main(args: Args) -> None:
    """Compare and print."""
    reports = [report for file in args.files for report in read_reports(file)]
    if len(reports) < 2:
        raise UserError("a comparison needs two reports")
    console = make_console()
    compared = [compare(reports[0], other) for other in reports[1:]]
    for comparison in compared:
        console.print(comparison_table(comparison))
        if comparison["left_out"]:
            console.print(f"left out: {comparison['left_out']} drives that only one of them has")
    if args.json is not None:
        write_json(args.json, {"comparison": compared})
        console.print(f"comparison: {args.json}")
