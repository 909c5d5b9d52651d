"""The results tables of the README from evaluation reports: ``python docs/make_results.py``.

Reads the reports of ``wm eval --json`` in ``docs/results/*.json``, one driver's or those of
``--compare``, and replaces the text between the markers ``<!-- results:begin -->`` and
``<!-- results:end -->``. Older reports lack some figures: a dash stands for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wm_training.drivers import DRIVERS
from wm_training.intervals import wilson
from wm_training.report_files import label_of, read_reports

DOCS = Path(__file__).parent
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
HEADINGS = (
    "driver", "route completion %", "driving score 2.0 (95 %)", "2.1", "Bench2Drive success %",
    "routes with a collision % (95 %)", "at fault / km (95 %)", "red lights a route",
    "off-road % of time", "m/s", "plan ms p50 / p99",
)  # fmt: skip

Summary = dict[str, Any]


def row(s: Summary) -> str:
    """One driver's row."""
    count = s["routes"]
    hit = [100 * share for share in wilson(s["routes_with_collision"], count)]
    cells = (
        label_of(s),
        f"{s['route_completion']:.1f}",
        f"{s['driving_score']:.1f}{_interval(s.get('driving_score_95'), 1)}",
        _number(s.get("driving_score_21"), 1),
        _number(s.get("bench2drive_success"), 0, 100),
        f"{100 * s['routes_with_collision'] / count:.0f}{_interval(hit, 0)}",
        _number(s.get("at_fault_collisions_per_km"), 2)
        + _interval(s.get("at_fault_collisions_per_km_95"), 2),
        f"{s['red_lights'] / count:.2f}",
        f"{100 * s['offroad_fraction']:.2f}",
        f"{s['mean_speed_mps']:.1f}",
        f"{s['plan_ms_p50']:.0f} / {s['plan_ms_p99']:.0f}" if s["plan_ms_p50"] > 0.0 else "-",
    )
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int, factor: float = 1.0) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"


def _interval(ends: Any, digits: int) -> str:
    return "" if ends is None else f" ({ends[0]:.{digits}f}-{ends[1]:.{digits}f})"


def _rank(s: Summary) -> tuple[int, str]:
    """Drivers in the order of their table, each before its variants."""
    name = s["driver"]
    return (DRIVERS.index(name) if name in DRIVERS else len(DRIVERS), label_of(s).lower())


def tables(folder: Path = DOCS / "results") -> str:
    """One table per suite, from the reports in a folder."""
    found = [r["summary"] for path in sorted(folder.glob("*.json")) for r in read_reports(path)]
    lines = []
    for suite in sorted({s["suite"] for s in found}):
        rows = sorted((s for s in found if s["suite"] == suite), key=_rank)
        counts = sorted({s["routes"] for s in rows})
        lines += [
            f"**`wm eval --suite {suite}`** ({' or '.join(map(str, counts))} drives)",
            "",
            f"| {' | '.join(HEADINGS)} |",
            f"|---{'|--:' * (len(HEADINGS) - 1)}|",
            *map(row, rows),
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    """Rewrite the README's table."""
    readme = DOCS.parent / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{tables()}{END}{after}")


if __name__ == "__main__":
    main()
