"""The machine-readable result of an inspection; its keys are stable."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wm_training.inspect_beyond import Beyond
from wm_training.inspect_doubt import Forecast, forecast_errors, spearman_by_head
from wm_training.inspect_metrics import (
    EVENTS,
    FEWEST,
    FEWEST_EPISODES,
    PATHS,
    Estimate,
    Event,
    correlation,
    distance_errors,
    error_at,
    event,
    head_error,
    overlaps,
    path_errors,
    spearman,
)
from wm_training.inspect_moments import Ego, Moments

SECONDS = (1, 2, 3)
COUNTERFACTUAL = ("collision_auroc", "gap_bias_m", "stop_bias_m")


@dataclass(frozen=True)
class Findings:
    """All that was measured.

    Attributes:
        errors: (N, H) path errors (m) by name, see ``inspect_metrics.PATHS``.
        curves: their mean by step.
        events: by label name.
        distances: "leader_gap_error_m", "stop_line_error_m" -> "0s", "3s".
        ious: "vehicle_iou", "copy_last_iou" -> "1s", "2s".
        head_error: (N,), see :func:`wm_training.inspect_metrics.head_error`.
        head_doubt: Spearman correlation of disagreement with that.
        latent_doubt, path_doubt: the same of disagreement about the stochastic state with that, and
            of disagreement with the path error at the end.
        by_head: head -> the same with that head's error.
        foretold: the head error as disagreement foretells it.
        beyond: what was measured in the simulator.
    """

    errors: dict[str, np.ndarray]
    curves: dict[str, list[Estimate]]
    events: dict[str, Event]
    distances: dict[str, dict[str, Estimate]]
    ious: dict[str, dict[str, Estimate]]
    head_error: np.ndarray
    head_doubt: Estimate
    latent_doubt: float | None
    path_doubt: float | None
    by_head: dict[str, float | None]
    foretold: Forecast | None
    beyond: Beyond


def find(moments: Moments, train: Ego | None, beyond: Beyond) -> Findings:
    """Evaluate; ``train``: driving to fit the bicycle on, see ``path_errors``."""
    errors = path_errors(moments, train)
    steps = moments.ego.path.shape[1]
    imagined = head_error(moments)
    last = errors[PATHS[0]][:, -1]
    whole = np.isfinite(last)
    return Findings(
        errors,
        {n: [error_at(e, t, moments.episode) for t in range(steps)] for n, e in errors.items()},
        {name: event(moments, name) for name in EVENTS},
        {
            "leader_gap_error_m": distance_errors(moments, "leader_gap", "leader_present"),
            "stop_line_error_m": distance_errors(moments, "stop_distance", "stop_present"),
        },
        {
            "vehicle_iou": overlaps(moments, "imagined"),
            "copy_last_iou": overlaps(moments, "copy_last"),
        },
        imagined,
        correlation(moments.disagreement, imagined, moments.episode),
        spearman(moments.latent_disagreement, imagined),
        spearman(moments.disagreement[whole], last[whole]),
        spearman_by_head(moments),
        forecast_errors(moments, imagined),
        beyond,
    )


def summary(moments: Moments, found: Findings) -> dict:
    """The result as JSON-able values; null with a reason under "why" where nothing was measured.

    "intervals" has the same keys with [low, high], "counts" with the number of examples (of
    positives for the areas).
    """
    seconds = {f"{s}s": moments.step(s) for s in SECONDS}
    tables = {
        name: {second: found.curves[name][step] for second, step in seconds.items()}
        for name in PATHS
    }
    tables |= found.distances | found.ious
    areas = {f"{name.replace('_', '')}_auroc": e.area for name, e in found.events.items()}
    detection, branches = found.beyond.detection, found.beyond.counterfactual
    if detection is not None:
        areas["ood_auroc"] = detection.pooled
    known = [e.calibration_error for e in found.events.values() if e.calibration_error is not None]
    values: dict = {name: {k: _round(e.value) for k, e in t.items()} for name, t in tables.items()}
    values |= {name: _round(estimate.value) for name, estimate in areas.items()}
    values |= {
        "counterfactual": {key: (branches or {}).get(key) for key in COUNTERFACTUAL},
        "disagreement_spearman": _round(found.head_doubt.value),
        "ece": _round(max(known)) if known else None,
    }
    values.setdefault("ood_auroc", None)
    intervals: dict = {n: {k: _interval(e) for k, e in t.items()} for n, t in tables.items()}
    counts: dict = {n: {k: e.count for k, e in t.items()} for n, t in tables.items()}
    intervals |= {name: _interval(estimate) for name, estimate in areas.items()}
    intervals["disagreement_spearman"] = _interval(found.head_doubt)
    counts |= {name: estimate.count for name, estimate in areas.items()}
    if branches is not None:
        for part, name in ((intervals, "intervals"), (counts, "counts")):
            part["counterfactual"] = {key: branches[name].get(key) for key in COUNTERFACTUAL}
    counts |= {"moments": len(moments.start), "episodes": len(np.unique(moments.episode))}
    return values | {
        "intervals": intervals,
        "counts": counts,
        "details": _details(found),
        "why": _reasons(found, values),
    }


def _details(found: Findings) -> dict:
    """What stands behind a number: by head, by event, by disturbance, by situation."""
    details: dict = {
        "disagreement_spearman_by_head": {n: _round(v) for n, v in found.by_head.items()},
        "latent_disagreement_spearman": _round(found.latent_doubt),
        "ece": {name: _round(e.calibration_error) for name, e in found.events.items()},
    }
    if found.beyond.counterfactual is not None:
        details["counterfactual"] = found.beyond.counterfactual
    detection = found.beyond.detection
    if detection is not None:
        details["ood"] = {
            "threshold": _round(detection.threshold),
            "false_alarms": _round(detection.false_alarms),
            "auroc": {kind: _round(area.value) for kind, area in detection.areas.items()},
            "intervals": {kind: _interval(area) for kind, area in detection.areas.items()},
            "found": {kind: _round(detection.found(kind)) for kind in detection.disturbed},
        }
    return details


def _reasons(found: Findings, values: dict) -> dict[str, str]:
    """Why a value is missing, by key."""
    why = {}
    if found.beyond.detection is None:
        why["ood_auroc"] = found.beyond.no_detection
    if found.beyond.counterfactual is None:
        why["counterfactual"] = found.beyond.no_counterfactual
    elif None in values["counterfactual"].values():
        why["counterfactual"] = "too few branches of this kind"
    for name, result in found.events.items():
        if result.area.value is None:
            why[f"{name.replace('_', '')}_auroc"] = (
                f"too few: {result.area.count} of {len(result.happened)} moments are positive, "
                f"{FEWEST} of each kind are needed"
            )
    if values["ece"] is None:
        why["ece"] = f"too few: no event happened at {FEWEST} moments"
    reasons = {
        "bicycle_error_m": "one episode only, none left to fit on; name a store with --fit",
        "leader_gap_error_m": "no leader within 25 m",
        "stop_line_error_m": "no red stop line within 25 m",
        "vehicle_iou": "no vehicle in the masks, or the model draws none",
        "copy_last_iou": "no vehicle in the masks, or the model draws none",
        "ego_error_m": "no episode lasts long enough",
        "constant_velocity_error_m": "no episode lasts long enough",
    }
    why |= {name: reason for name, reason in reasons.items() if None in values[name].values()}
    if found.curves["ego_error_m"][0].low is None:
        why["intervals"] = f"fewer than {FEWEST_EPISODES} episodes"
    if values["disagreement_spearman"] is None:
        why["disagreement_spearman"] = "the ensemble has one member, or too few moments"
    return why


def write_json(result: dict, path: Path) -> None:
    """Write the result; not-a-number never gets in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _interval(estimate: Estimate) -> list[float] | None:
    if estimate.low is None or estimate.high is None:
        return None
    return [round(estimate.low, 4), round(estimate.high, 4)]
