"""The results table of the README from evaluation reports: ``python docs/make_results.py``.

Reads ``docs/results/<suite>.<driver>.json`` as written by ``wm eval --json`` and replaces the text
between the markers ``<!-- results:begin -->`` and ``<!-- results:end -->``.
"""

from __future__ import annotations

import json
from pathlib import Path

from wm_training.intervals import wilson

DOCS = Path(__file__).parent
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
DRIVERS = ("planner", "actor", "blind", "untrained", "expert")


def row(report: dict) -> str:
    """One driver's row."""
    s = report["summary"]
    count = s["routes"]
    low, high = (100 * share for share in wilson(s["routes_with_collision"], count))
    plan = f"{s['plan_ms_p50']:.0f} / {s['plan_ms_p99']:.0f}" if s["driver"] != "expert" else "-"
    return (
        f"| {s['driver']} | {s['route_completion']:.1f} | {s['driving_score']:.1f} | "
        f"{100 * s['routes_with_collision'] / count:.0f} ({low:.0f}-{high:.0f}) | "
        f"{s['red_lights'] / count:.2f} | {100 * s['offroad_fraction']:.2f} | "
        f"{s['mean_speed_mps']:.1f} | {plan} |"
    )


def tables() -> str:
    """One table per suite, drivers in a fixed order."""
    reports = [json.loads(p.read_text()) for p in sorted((DOCS / "results").glob("*.json"))]
    suites = sorted({r["summary"]["suite"] for r in reports})
    lines = []
    for suite in suites:
        found = {r["summary"]["driver"]: r for r in reports if r["summary"]["suite"] == suite}
        routes = next(iter(found.values()))["summary"]["routes"]
        lines += [
            f"**`wm eval --suite {suite}`** ({routes} routes)",
            "",
            "| driver | route completion % | driving score | routes with a collision % (95 %) | "
            "red lights a route | off-road % of time | m/s | plan ms p50 / p99 |",
            "|---|--:|--:|--:|--:|--:|--:|--:|",
            *[row(found[name]) for name in DRIVERS if name in found],
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
