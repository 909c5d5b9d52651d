"""The results tables from evaluation reports: ``python docs/make_results.py``.

Reads the reports of ``wm eval --json`` in ``docs/results/*.json``, one driver's or those of
``--compare``, and replaces what is between the markers ``<!-- results:begin -->`` and
``<!-- results:end -->``: the main suites in the README, all of them in results.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wm_training.drivers import DRIVERS
from wm_training.intervals import wilson
from wm_training.report_files import label_of, read_reports

DOCS = Path(__file__).parent
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
MAIN = ("test-notraffic", "test-regular")  # in the README

Summary = dict[str, Any]


def _number(key: str, digits: int, factor: float = 1.0) -> Callable[[Summary], str]:
    def cell(s: Summary) -> str:
        value, ends = s.get(key), s.get(f"{key}_95")
        if value is None:
            return "-"
        interval = f" ({ends[0] * factor:.{digits}f}-{ends[1] * factor:.{digits}f})" if ends else ""
        return f"{factor * value:.{digits}f}{interval}"

    return cell


def _hits(s: Summary) -> str:
    low, high = (100 * share for share in wilson(s["routes_with_collision"], s["routes"]))
    return f"{100 * s['routes_with_collision'] / s['routes']:.0f} ({low:.0f}-{high:.0f})"


def _plan_ms(s: Summary) -> str:
    return f"{s['plan_ms_p50']:.0f} / {s['plan_ms_p99']:.0f}" if s["plan_ms_p50"] > 0.0 else "-"


COLUMNS: dict[str, Callable[[Summary], str]] = {
    "driver": label_of,
    "drives": lambda s: str(s["routes"]),
    "route completion %": _number("route_completion", 1),
    "driving score 2.0": _number("driving_score", 1),
    "driving score 2.1": _number("driving_score_21", 1),
    "Bench2Drive success %": _number("bench2drive_success", 0, 100),
    "routes with a collision %": _hits,
    "at fault / km": _number("at_fault_collisions_per_km", 2),
    "red lights a route": lambda s: f"{s['red_lights'] / s['routes']:.2f}",
    "off-road % of time": _number("offroad_fraction", 2, 100),
    "m/s": _number("mean_speed_mps", 1),
    "plan ms p50 / p99": _plan_ms,
}
FEW = (
    "driver", "drives", "route completion %", "driving score 2.0", "at fault / km",
    "red lights a route", "plan ms p50 / p99",
)  # fmt: skip


def _rank(s: Summary) -> tuple[int, str]:
    """Drivers in the order of their table, each before its variants."""
    name = s["driver"]
    return (DRIVERS.index(name) if name in DRIVERS else len(DRIVERS), label_of(s).lower())


def read_summaries(folder: Path = DOCS / "results") -> list[Summary]:
    """The summaries of all reports in a folder."""
    return [r["summary"] for path in sorted(folder.glob("*.json")) for r in read_reports(path)]


def tables(found: Sequence[Summary], columns: Sequence[str]) -> str:
    """One table per suite."""
    lines = []
    for suite in sorted({s["suite"] for s in found}):
        rows = sorted((s for s in found if s["suite"] == suite), key=_rank)
        lines += [
            f"**`wm eval --suite {suite}`**",
            "",
            f"| {' | '.join(columns)} |",
            f"|---{'|--:' * (len(columns) - 1)}|",
            *(f"| {' | '.join(COLUMNS[name](s) for name in columns)} |" for s in rows),
            "",
        ]
    return "\n".join(lines)


def rewrite(page: Path, text: str) -> None:
    """Replace what is between a page's markers."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def main() -> None:
    """Rewrite both pages."""
    found = read_summaries()
    rewrite(DOCS.parent / "README.md", tables([s for s in found if s["suite"] in MAIN], FEW))
    rewrite(DOCS / "results.md", tables(found, tuple(COLUMNS)))


if __name__ == "__main__":
    main()
