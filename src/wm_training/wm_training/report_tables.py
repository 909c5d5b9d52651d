"""The tables of the evaluation page, as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from wm_training.comparison import MEASURES
from wm_training.infractions import KINDS
from wm_training.report_files import label_of

Summary = dict[str, Any]
# Key of a summary, heading, factor, digits.
SCORES = (
    ("route_completion", "route completion %", 1, 1),
    ("driving_score", "driving score 2.0", 1, 1),
    ("driving_score_21", "driving score 2.1", 1, 1),
    ("bench2drive_success", "Bench2Drive success %", 100, 0),
    ("driving_efficiency", "efficiency %", 1, 0),
    ("comfortness", "comfort %", 1, 0),
    ("nocrash_success", "NoCrash success %", 100, 0),
    ("scenario_success", "scenarios mastered %", 100, 0),
)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is text, the others are numbers. Cells are HTML already."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>"
        + f"<td>{row[0]}</td>"
        + "".join(f"<td class='n'>{c}</td>" for c in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"


def cell(value: float | None, interval: Sequence[float] | None, factor: float, digits: int) -> str:
    """A number with its interval below, both times a factor; a dash for what was not measured."""
    if value is None:
        return "-"
    text = f"{factor * value:.{digits}f}"
    if interval is None:
        return text
    low, high = (f"{factor * end:.{digits}f}" for end in interval)
    return f"{text}<small>{low} to {high}</small>"


def who(summary: Summary) -> str:
    """Name of a report's driver and suite."""
    return f"<b>{html.escape(label_of(summary))}</b> {html.escape(str(summary['suite']))}"


def scores_table(summaries: Sequence[Summary]) -> str:
    """A row per report; scores that none of them has are left out."""
    shown = [row for row in SCORES if any(s.get(row[0]) is not None for s in summaries)]
    rows = [
        [
            who(s),
            str(s["routes"]),
            *(
                cell(s.get(key), s.get(f"{key}_95"), factor, digits)
                for key, _, factor, digits in shown
            ),
            f"{s['plan_ms_p50']:.0f} / {s['plan_ms_p99']:.0f}" if s["plan_ms_p50"] else "-",
        ]
        for s in summaries
    ]
    return table(["driver", "drives", *(row[1] for row in shown), "plan ms p50 / p99"], rows)


def infractions_table(summaries: Sequence[Summary]) -> str:
    """Events per driven km by kind, a row per report."""
    headings = ["driver", "km", "at-fault collisions", *(kind.replace("_", " ") for kind in KINDS)]
    rows = []
    for s in summaries:
        rates, intervals = s.get("infractions_per_km", {}), s.get("infractions_per_km_95", {})
        at_fault = "at_fault_collisions_per_km"
        rows.append(
            [
                who(s),
                f"{s['km']:.1f}" if "km" in s else "-",
                cell(s.get(at_fault), s.get(f"{at_fault}_95"), 1, 2),
                *(cell(rates.get(kind), intervals.get(kind), 1, 2) for kind in KINDS),
            ]
        )
    return table(headings, rows)


def groups_table(name: str, summaries: Sequence[Summary]) -> str:
    """Scores by town, weather, fault or scenario: a row per value, a column per report."""
    values = list(dict.fromkeys(v for s in summaries for v in s["groups"].get(name, {})))
    rows = []
    for value in values:
        row = [html.escape(value)]
        for s in summaries:
            found = s["groups"].get(name, {}).get(value)
            if found is None:
                row += ["-", "-"]
                continue
            row += [
                cell(found["driving_score"], found["driving_score_95"], 1, 1),
                f"{found['routes_with_collision']} of {found['routes']}",
            ]
        rows.append(row)
    headings = [h for s in summaries for h in (f"{label_of(s)}: score 2.0", "with a collision")]
    return table([name, *headings], rows)


def comparison_table(comparison: dict[str, Any]) -> str:
    """Differences of two drivers on identical routes."""
    rows = [
        [
            html.escape(MEASURES[d["measure"]].label),
            f"{d['a']:.1f}",
            f"{d['b']:.1f}",
            f"{d['difference']:+.1f}<small>{d['low']:+.1f} to {d['high']:+.1f}</small>",
            f"{d['p']:.4f}",
        ]
        for d in comparison["differences"]
    ]
    headings = ["measure", comparison["a"], comparison["b"], "difference", "p"]
    return table(headings, rows)
