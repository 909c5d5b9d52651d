"""The page of an inspection: one HTML file that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 980px; margin: 2em auto; padding: 0 1em;
       color: #222; }
h2 { margin-top: 2em; border-bottom: 1px solid #ddd; }
img { max-width: 100%; display: block; }
table { border-collapse: collapse; }
td, th { padding: .2em 1em .2em 0; text-align: left; border-bottom: 1px solid #eee; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
p.note, figcaption { color: #555; }
figure { margin: 1em 0 1.6em 0; }
"""
NAMES = {
    "ego_error_m": "ego path error (m)",
    "constant_velocity_error_m": "… constant velocity",
    "bicycle_error_m": "… kinematic bicycle, fitted on other episodes",
    "leader_gap_error_m": "leader gap error, within 25 m (m)",
    "stop_line_error_m": "red stop line error, within 25 m (m)",
    "vehicle_iou": "vehicle IoU, imagined",
    "copy_last_iou": "… the last mask copied",
    "collision_auroc": "collision within 2 s, AUROC",
    "offroad_auroc": "off road within 2 s, AUROC",
    "ece": "calibration error of the two (the larger)",
    "disagreement_spearman": "disagreement against realised error, Spearman",
    "counterfactual": "other actions than those driven",
    "ood_auroc": "disturbed observations recognised, AUROC",
}
TIMES = {"0s": "now", "1s": "1 s", "2s": "2 s", "3s": "3 s"}


@dataclass(frozen=True)
class Picture:
    """A PNG file on the page.

    Attributes:
        path: the file.
        caption: what it shows.
        good: what it looks like for a good model; empty where there is no such thing.
        video: file beside the page, if there is one.
    """

    path: Path
    caption: str
    good: str = ""
    video: str = ""


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph and pictures."""

    title: str
    text: str
    pictures: list[Picture]


def write_page(title: str, facts: list[str], result: dict, sections: list[Section], path: Path):
    """Write the page. result: see ``inspect_summary.summary``."""
    escaped = html.escape(title)
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escaped}</title>",
        f"<style>{STYLE}</style></head><body><h1>{escaped}</h1><ul>",
        *(f"<li>{html.escape(fact)}</li>" for fact in facts),
        "</ul>",
        _table(result),
        *map(_section, sections),
        "</body></html>\n",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _section(section: Section) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.text)}</p>"]
    for picture in section.pictures:
        data = base64.b64encode(picture.path.read_bytes()).decode()
        link = ""
        if picture.video:
            link = f" <a href='{html.escape(picture.video)}'>video (mp4, half speed)</a>"
        caption = html.escape(picture.caption)
        good = f"<br><b>Good:</b> {html.escape(picture.good)}" if picture.good else ""
        parts.append(
            f"<figure><img alt='{caption}' src='data:image/png;base64,{data}'>"
            f"<figcaption>{caption}{link}{good}</figcaption></figure>"
        )
    return "\n".join(parts)


def _table(result: dict) -> str:
    rows = ["<tr><th>measure</th><th>at</th><th>value</th><th>95 %</th><th>examples</th></tr>"]
    for name, label in NAMES.items():
        value = result[name]
        interval, count = result["intervals"].get(name), result["counts"].get(name)
        if not isinstance(value, dict):
            rows.append(_row(label, "", value, interval, count, result["why"].get(name, "")))
        elif not value or all(v is None for v in value.values()):
            rows.append(_row(label, "", None, None, None, result["why"].get(name, "")))
        else:
            for key, number in value.items():
                at = TIMES.get(key, key.replace("_", " "))
                between, examples = (table or {} for table in (interval, count))
                rows.append(_row(label, at, number, between.get(key), examples.get(key), "too few"))
                label = ""
    return (
        f"<table>{''.join(rows)}</table><p class='note'>Intervals: bootstrap over episodes. "
        "Examples: moments measured; of the AUROCs, positives.</p>"
    )


def _row(label: str, at: str, value, interval, count, why: str) -> str:
    if value is None:
        return (
            f"<tr><td>{html.escape(label)}</td><td>{at}</td>"
            f"<td colspan='3'>not measured: {html.escape(why)}</td></tr>"
        )
    between = "" if interval is None else f"{interval[0]:.3f} … {interval[1]:.3f}"
    number = "" if count is None else str(count)
    return (
        f"<tr><td>{html.escape(label)}</td><td>{at}</td><td class='n'>{value:.3f}</td>"
        f"<td class='n'>{between}</td><td class='n'>{number}</td></tr>"
    )
