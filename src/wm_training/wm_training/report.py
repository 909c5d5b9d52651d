"""What an evaluation shows: a table per route, a summary, and the JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
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
    for heading in ("town", "route", "seed", "m", "done %", "outcome", "hits", "off %", "reds",
                    "m/s", "plan ms", "p99", "late", "score"):  # fmt: skip
        justify: Literal["left", "right"] = "left" if heading in ("town", "outcome") else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for drive in drives:
        r, ms = drive.result, np.array(drive.plan_ms or [0.0])
        table.add_row(
            r.town, str(r.route), str(r.seed), f"{r.length_m:.0f}", f"{r.route_completion:.0f}",
            r.outcome, str(r.collisions), f"{100 * r.offroad_fraction:.1f}", str(r.red_lights),
            f"{r.mean_speed_mps:.1f}", f"{np.percentile(ms, 50):.0f}",
            f"{np.percentile(ms, 99):.0f}", str(int((ms > deadline_ms).sum())),
            f"{r.driving_score:.0f}",
        )  # fmt: skip
    return table


def one_line(summary: dict) -> str:
    """The figures that matter, of a report of this version or an older one."""
    parts = [
        f"route completion {summary['route_completion']:.1f} %",
        f"driving score {summary['driving_score']:.1f}{_between(summary, 'driving_score')} "
        "(Leaderboard 2.0)",
    ]
    if summary.get("driving_score_21") is not None:
        parts.append(f"{summary['driving_score_21']:.1f} (2.1)")
    parts.append(
        f"{summary['routes_with_collision']} of {summary['routes']} routes with a collision"
    )
    if "at_fault_collisions_per_km" in summary:
        parts.append(f"{summary['at_fault_collisions_per_km']:.2f} at fault per km")
    parts += [
        f"{summary['red_lights']} red lights",
        f"off-road {100 * summary['offroad_fraction']:.2f} % of the time",
    ]
    if summary["plan_ms_p50"] > 0.0:
        parts.append(f"plan {summary['plan_ms_p50']:.0f} ms (p99 {summary['plan_ms_p99']:.0f})")
    return ", ".join(parts)


def _between(summary: dict, name: str) -> str:
    interval = summary.get(f"{name}_95")
    return f" [{interval[0]:.1f}, {interval[1]:.1f}]" if interval else ""


def print_summary(console: Console, summary: dict) -> None:
    """One line with the figures that matter, and one with the other benchmarks' scores."""
    console.print(f"[bold]{summary['driver']}[/bold]: {escape(one_line(summary))}")
    others = []
    for name, label in (("bench2drive_success", "Bench2Drive success"),
                        ("nocrash_success", "NoCrash success")):  # fmt: skip
        if summary.get(name) is not None:
            others.append(f"{label} {100 * summary[name]:.0f} %")
    for name, label in (("driving_efficiency", "efficiency"), ("comfortness", "comfort")):
        if summary.get(name) is not None:
            others.append(f"{label} {summary[name]:.0f} %")
    if others:
        console.print("  " + ", ".join(others))


def group_table(name: str, groups: dict[str, dict]) -> Table:
    """The scores by town, weather, fault or scenario, see ``groups`` of a summary."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(name)
    for heading in ("routes", "done %", "score", "95 %", "score 2.1", "with a hit", "reds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for value, s in groups.items():
        low, high = s["driving_score_95"]
        newer = s["driving_score_21"]
        table.add_row(
            value, str(s["routes"]), f"{s['route_completion']:.1f}", f"{s['driving_score']:.1f}",
            f"{low:.0f} - {high:.0f}", "-" if newer is None else f"{newer:.1f}",
            str(s["routes_with_collision"]), str(s["red_lights"]),
        )  # fmt: skip
    return table


def write_json(path: Path, report: dict) -> None:
    """Write the report atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(path.suffix + ".tmp")
    draft.write_text(json.dumps(report, indent=1))
    os.replace(draft, path)
