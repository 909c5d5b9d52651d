"""The results tables from evaluation reports: ``python docs/make_results.py``.

Reads the reports of ``wm eval --json`` in ``docs/results/*.json``, one driver's or those of
``--compare``, and replaces what is between the markers ``<!-- results:begin -->`` and
``<!-- results:end -->`` and the like: the main suites in the README; in results.md all of them, the
planner against the others on the same routes, and what some suites say by town or fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wm_dynamics.errors import UserError
from wm_training.comparison import compare
from wm_training.drivers import DRIVERS
from wm_training.frame_faults import KNOWN
from wm_training.intervals import wilson
from wm_training.report_files import label_of, read_reports

DOCS = Path(__file__).parent
MAIN = ("test-notraffic", "test-regular")  # in the README
PLANNER = "planner"  # as it ships, that others are compared with
BY = {"faults": "fault", "test-towns": "town", "test-weather": "weather"}
# Settings that are one thing together; docs/results.md says what.
TOGETHER = {
    "weights.disagreement=0, risk.max_collision_probability=1, risk.horizon_budget=0, "
    "doubt.enabled=false": "no uncertainty"
}

Summary = dict[str, Any]
Report = dict[str, Any]


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


def _name(s: Summary) -> str:
    label = label_of(s)
    for long, short in TOGETHER.items():
        label = label.replace(long, short)
    return label


COLUMNS: dict[str, Callable[[Summary], str]] = {
    "driver": _name,
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


def read_folder(folder: Path = DOCS / "results") -> list[Report]:
    """All reports in a folder."""
    return [report for path in sorted(folder.glob("*.json")) for report in read_reports(path)]


def by_suite(found: Sequence[Report]) -> Iterator[tuple[str, list[Report]]]:
    """The reports of each suite, the planner's first."""
    for suite in sorted({r["summary"]["suite"] for r in found}):
        rows = [r for r in found if r["summary"]["suite"] == suite]
        yield suite, sorted(rows, key=lambda r: _rank(r["summary"]))


def _command(suite: str) -> str:
    """What drove a suite; a fault on every drive is behind the suite's name."""
    topic = next((f"-{topic}" for (topic, _), _ in KNOWN if f"-{topic}" in suite), "")
    name, found, fault = suite.partition(topic) if topic else (suite, "", "")
    return f"wm eval --suite {name}" + f" --fault {found[1:]}{fault}" * bool(found)


def tables(found: Sequence[Report], columns: Sequence[str]) -> str:
    """One table per suite, a row per driver."""
    lines = []
    for suite, rows in by_suite(found):
        lines += [f"**`{_command(suite)}`**", "", *_head(columns)]
        lines += [_row(COLUMNS[name](r["summary"]) for name in columns) for r in rows]
        lines.append("")
    return "\n".join(lines)


def paired(found: Sequence[Report]) -> str:
    """The planner less every other driver, on the routes and seeds that both have driven."""
    lines = _head(("suite", "planner against", "pairs", "driving score", "p"))
    for suite, rows in by_suite(found):
        planner = next((r for r in rows if _name(r["summary"]) == PLANNER), None)
        for other in rows:
            if planner is None or other is planner:
                continue
            try:
                result = compare(planner, other)
            except UserError:  # no route in common
                continue
            d = next(d for d in result["differences"] if d["measure"] == "driving_score")
            value, low, high = (round(d[key], 1) + 0.0 for key in ("difference", "low", "high"))
            change = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
            p = f"{d['p']:.3f}" if d["p"] >= 0.001 else "< 0.001"
            lines.append(_row((f"`{suite}`", _name(other["summary"]), str(d["pairs"]), change, p)))
    return "\n".join([*lines, ""])


def grouped(found: Sequence[Report]) -> str:
    """Completion / driving score by fault, town or weather, a column per driver."""
    lines = []
    for suite, rows in by_suite(found):
        if suite not in BY:
            continue
        groups = [r["summary"]["groups"][BY[suite]] for r in rows]
        lines += [f"**`{suite}`**: completion / driving score", ""]
        lines += _head((BY[suite], "drives", *(_name(r["summary"]) for r in rows)))
        for name, first in groups[0].items():
            cells = [
                f"{g[name]['route_completion']:.1f} / {g[name]['driving_score']:.1f}"
                if name in g
                else "-"
                for g in groups
            ]
            lines.append(_row((name or "none", str(first["routes"]), *cells)))
        lines.append("")
    return "\n".join(lines)


def _head(columns: Sequence[str]) -> list[str]:
    return [_row(columns), f"|---{'|--:' * (len(columns) - 1)}|"]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rewritten(page: str, marker: str, text: str) -> str:
    """A page with what is between its markers of that name replaced."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{text}{end}{after}"


def pages() -> dict[Path, str]:
    """Both pages as the reports want them."""
    found = read_folder()
    readme, results = DOCS.parent / "README.md", DOCS / "results.md"
    main_suites = [r for r in found if r["summary"]["suite"] in MAIN]
    text = rewritten(results.read_text(), "results", tables(found, tuple(COLUMNS)))
    text = rewritten(rewritten(text, "paired", paired(found)), "grouped", grouped(found))
    return {
        readme: rewritten(readme.read_text(), "results", tables(main_suites, FEW)),
        results: text,
    }


def main() -> None:
    """Rewrite both pages."""
    for page, text in pages().items():
        page.write_text(text)


if __name__ == "__main__":
    main()
