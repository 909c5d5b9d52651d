"""Reports of evaluations as files: one driver's, or those of several that were compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wm_dynamics.errors import UserError
from wm_training.drivers import DEFAULT_MODELS
from wm_training.scoring import RouteResult
from wm_training.summary import read_result


def read_reports(path: Path) -> list[dict[str, Any]]:
    """The reports in a file of ``wm eval --json``, one per driver.

    Raises:
        UserError: there is no such file, or it is something else.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read a report from {path}: {error}") from None
    found = document.get("drivers") if isinstance(document, dict) else None
    reports = list(found.values()) if isinstance(found, dict) else [document]
    for report in reports:
        if not (isinstance(report, dict) and {"summary", "routes"} <= set(report)):
            raise UserError(f"{path} is no report of `wm eval --json` or `wm drive --json`")
    return reports


def results_of(report: dict[str, Any]) -> list[RouteResult]:
    """The routes of a report."""
    return [read_result(row) for row in report["routes"]]


def label_of(summary: dict[str, Any]) -> str:
    """Who drove, with what was unlike usual: ``planner (no gate, horizon=20)``."""
    bare = summary["driver"] != "expert" and not summary.get("gate", True)
    notes = ["no gate"] if bare else []
    if summary.get("view", "full") != "full":
        notes.append(summary["view"].replace("_", " "))
    usual = DEFAULT_MODELS.get(summary["driver"])
    if usual and (named := Path(summary.get("model") or usual).name) != usual:
        notes.insert(0, named)
    notes += summary.get("settings", [])
    return f"{summary['driver']} ({', '.join(notes)})" if notes else str(summary["driver"])
