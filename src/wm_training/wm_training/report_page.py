"""The page of evaluations: one HTML file that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import html
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wm_dynamics.errors import UserError
from wm_training import report_tables as tables
from wm_training.comparison import compare
from wm_training.failure_video import is_failure
from wm_training.infraction_maps import infraction_map, legend, town_symbol
from wm_training.inspect_page import STYLE
from wm_training.report import one_line
from wm_training.report_files import label_of, results_of
from wm_training.scoring import RouteResult

MORE_STYLE = """
body { max-width: 1180px; }
small { display: block; color: #777; font-size: 11px; }
td.n, th { padding-right: .9em; vertical-align: top; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; font-size: 13px; }
.wide { overflow-x: auto; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 1em; }
svg.map { width: 100%; max-height: 560px; background: #f4f6f7; }
.legend span { margin-right: 1em; white-space: nowrap; }
.legend svg { vertical-align: -2px; }
.films { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1em; }
video { width: 100%; background: #111; }
p.line { font-size: 17px; }
"""
GROUPS = {"town": "Towns", "weather": "Weather", "fault": "Faults", "scenario": "Scenarios"}
NOTE = (
    "Below each figure its 95 % interval: bootstrap over routes for means (all seeds of a route "
    "together), Wilson for shares, Poisson for rates. The judge ends a route at the first "
    "collision, which is stricter than the Leaderboard: its scores cannot be compared with theirs."
)


def write_page(title: str, reports: Sequence[dict[str, Any]], folders: Sequence[Path], path: Path):
    """Write the page.

    Args:
        title: of the page.
        reports: as ``wm eval --json`` writes them, of this version or an older one.
        folders: of the reports' files, where their videos are looked for too.
        path: the HTML file.
    """
    summaries = [report["summary"] for report in reports]
    escaped = html.escape(title)
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escaped}</title>",
        f"<style>{STYLE}{MORE_STYLE}</style></head><body><h1>{escaped}</h1>",
        *(f"<p class='line'>{tables.who(s)}: {html.escape(one_line(s))}.</p>" for s in summaries),
        "<h2>Scores</h2>",
        tables.scores_table(summaries),
        f"<p class='note'>{NOTE}</p>",
        "<h2>Infractions per driven kilometre</h2>",
        tables.infractions_table(summaries),
        *_comparisons(reports),
        *_groups(summaries),
        *_maps(reports),
        *_failures(reports, folders),
        "</body></html>\n",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _comparisons(reports: Sequence[dict[str, Any]]) -> list[str]:
    """The first driver of each suite against the others."""
    parts = []
    for _, group in itertools.groupby(
        sorted(reports, key=lambda r: str(r["summary"]["suite"])), lambda r: r["summary"]["suite"]
    ):
        first, *others = group
        for other in others:
            try:
                found = compare(first, other)
            except UserError as error:
                parts.append(f"<p>{tables.who(other['summary'])}: {html.escape(str(error))}</p>")
                continue
            parts += [
                f"<h3>{html.escape(found['a'])} against {html.escape(found['b'])}, "
                f"{html.escape(str(found['suite']))}: {found['pairs']} drives each</h3>",
                tables.comparison_table(found),
            ]
    if not parts:
        return []
    note = (
        "<p class='note'>Identical routes, worlds and seeds. Interval: bootstrap over routes. p: "
        "two-sided sign-flip test over routes.</p>"
    )
    return ["<h2>Drivers compared</h2>", *parts, note]


def _groups(summaries: Sequence[dict[str, Any]]) -> list[str]:
    parts = []
    for name, title in GROUPS.items():
        grouped = [s for s in summaries if name in s.get("groups", {})]
        if grouped:
            parts += [f"<h2>{title}</h2>", tables.groups_table(name, grouped)]
    return parts


def _maps(reports: Sequence[dict[str, Any]]) -> list[str]:
    """A map per driver and town, side by side."""
    results = {id(report): results_of(report) for report in reports}
    towns = list(dict.fromkeys(r.town for rows in results.values() for r in rows))
    parts = ["<h2>Where it happened</h2>", legend()]
    for town in towns:
        try:
            symbol = town_symbol(town)
        except UserError as error:
            parts.append(f"<p>No map of {html.escape(town)}: {html.escape(str(error))}</p>")
            continue
        figures = [
            f"<figure>{infraction_map(town, results[id(report)])}"
            f"<figcaption>{tables.who(report['summary'])}</figcaption></figure>"
            for report in reports
            if any(r.town == town for r in results[id(report)])
        ]
        parts += [f"<h3>{html.escape(town)}</h3>{symbol}<div class='maps'>", *figures, "</div>"]
    return parts


def _failures(reports: Sequence[dict[str, Any]], folders: Sequence[Path]) -> list[str]:
    """Every drive that was not clean, with its video where there is one."""
    parts = []
    for report, folder in zip(reports, folders, strict=True):
        failed = [r for r in results_of(report) if _failed(r)]
        if not failed:
            continue
        parts.append(f"<h3>{tables.who(report['summary'])}: {len(failed)} drives</h3>")
        rows = [[_place(r), _story(r)] for r in failed if _film(r, folder) is None]
        films = [
            f"<figure>{film}<figcaption>{_place(r)}: {_story(r)}</figcaption></figure>"
            for r in failed
            for film in [_film(r, folder)]
            if film is not None
        ]
        if films:
            parts += ["<div class='films'>", *films, "</div>"]
        if rows:
            parts.append("<ul>" + "".join(f"<li>{a}: {b}</li>" for a, b in rows) + "</ul>")
    if not parts:
        return ["<h2>Failures</h2><p>None: every route was completed without an infraction.</p>"]
    return ["<h2>Failures</h2>", *parts]


def _failed(result: RouteResult) -> bool:
    """As :func:`is_failure`; older reports do not say whether a drive was clean."""
    if result.bench2drive_success is not None:
        return is_failure(result)
    return bool(result.outcome != "completed" or result.red_lights or result.offroad_fraction)


def _film(result: RouteResult, folder: Path) -> str | None:
    """The video as part of the page; None when there is none, or not any more."""
    if not result.video:
        return None
    for path in (Path(result.video), folder / result.video, folder / Path(result.video).name):
        if path.is_file():
            data = base64.b64encode(path.read_bytes()).decode()
            return f"<video controls preload='metadata' src='data:video/mp4;base64,{data}'></video>"
    return None


def _place(result: RouteResult) -> str:
    parts = [f"{result.town} route {result.route}, seed {result.seed}"]
    parts += [part for part in (result.scenario, result.fault) if part]
    parts += [result.weather] if result.weather != "day" else []
    return html.escape(", ".join(parts))


def _story(result: RouteResult) -> str:
    """What happened, in the order in which it did."""
    events = [
        f"{i.kind.replace('_', ' ')} after {i.time_s:.0f} s"
        + ("" if i.at_fault else " (not at fault)")
        for i in result.infractions
    ]
    if result.scenario_success is False:
        events.append("scenario not mastered")
    end = f"{result.outcome.replace('_', ' ')} at {result.route_completion:.0f} %"
    return html.escape(f"{end}; {', '.join(events)}" if events else end)


def title_of(reports: Sequence[dict[str, Any]]) -> str:
    """Suites and drivers in one line."""
    suites = dict.fromkeys(str(report["summary"]["suite"]) for report in reports)
    drivers = dict.fromkeys(label_of(report["summary"]) for report in reports)
    return f"Evaluation: {', '.join(drivers)} on {', '.join(suites)}"
