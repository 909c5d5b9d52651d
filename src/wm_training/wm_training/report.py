"""What an evaluation shows: a table per route, a summary, and the JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from wm_training.evaluation import Drive


def make_console() -> Console:
    """The terminal, or 100 columns where there is none (a log file), so that tables fit."""
    console = Console()
    return console if console.is_terminal else Console(width=100)


def route_table(drives: list[Drive], deadline_ms: float, title: str) -> Table:
    """One row per route.

    hits: collisions; off: share of the time off the road; reds: red lights run; m/s: mean speed;
    plan ms, p99: median and 99th percentile of the planning time; late: plans over the deadline;
    score: Leaderboard 2.0 driving score.
    """
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("town", "route", "m", "done %", "outcome", "hits", "off %", "reds", "m/s",
                    "plan ms", "p99", "late", "score"):  # fmt: skip
        justify: Literal["left", "right"] = "left" if heading in ("town", "outcome") else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for drive in drives:
        r, ms = drive.result, np.array(drive.plan_ms or [0.0])
        table.add_row(
            r.town, str(r.route), f"{r.length_m:.0f}", f"{r.route_completion:.0f}", r.outcome,
            str(r.collisions), f"{100 * r.offroad_fraction:.1f}", str(r.red_lights),
            f"{r.mean_speed_mps:.1f}", f"{np.percentile(ms, 50):.0f}",
            f"{np.percentile(ms, 99):.0f}", str(int((ms > deadline_ms).sum())),
            f"{r.driving_score:.0f}",
        )  # fmt: skip
    return table


def print_summary(console: Console, summary: dict) -> None:
    """One line with the figures that matter."""
    console.print(
        f"[bold]{summary['driver']}[/bold]: route completion "
        f"[bold]{summary['route_completion']:.1f} %[/bold], driving score (Leaderboard 2.0) "
        f"[bold]{summary['driving_score']:.1f}[/bold], {summary['routes_with_collision']} of "
        f"{summary['routes']} routes with a collision, {summary['red_lights']} red lights, "
        f"off-road {100 * summary['offroad_fraction']:.2f} % of the time, plan "
        f"{summary['plan_ms_p50']:.0f} ms (p99 {summary['plan_ms_p99']:.0f})"
    )


def write_json(path: Path, report: dict) -> None:
    """Write the report atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(path.suffix + ".tmp")
    draft.write_text(json.dumps(report, indent=1))
    os.replace(draft, path)
