"""The report of an evaluation: means and rates over its routes, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from wm_training.infractions import KINDS, Infraction, count_kinds
from wm_training.intervals import bootstrap_mean, poisson_rate, wilson
from wm_training.scoring import RouteResult

# Means over routes, percent; None where no route has the measure.
MEANS = (
    "route_completion", "driving_score", "driving_score_21", "leaderboard_20", "leaderboard_21",
    "driving_efficiency", "comfortness",
)  # fmt: skip
SHARES = ("bench2drive_success", "nocrash_success", "scenario_success")
GROUPS = ("town", "weather", "fault", "scenario")


def route_key(result: RouteResult) -> tuple:
    """What tells one drive from another of the same route: everything but the seed."""
    return result.town, result.route, result.scenario, result.weather, result.fault


def read_result(row: dict[str, Any]) -> RouteResult:
    """A result from the JSON of a report, of this version or an older one."""
    known = {field.name for field in fields(RouteResult)}
    values = {name: value for name, value in row.items() if name in known}
    values["infractions"] = tuple(Infraction(**i) for i in row.get("infractions", ()))
    return RouteResult(**values)


def summarise(
    results: list[RouteResult], plan_ms: list[float], deadline_ms: float, **about
) -> dict:
    """The report that ``--json`` writes: {"summary": {...}, "routes": [...]}.

    Rates and means come with 95 % intervals, ``<name>_95``: for means bootstrap over routes (all
    seeds of a route go together), for shares Wilson, for rates per km Poisson.

    Args:
        results: one per route.
        plan_ms: wall time of every plan, ms.
        deadline_ms: plans slower than this are misses.
        about: seed, model, suite, driver ... copied into the summary.
    """
    driven_km = sum(r.driven_m for r in results) / 1000.0
    km = max(driven_km, 1e-9)
    times = np.array(plan_ms) if plan_ms else np.zeros(1)
    frames = np.array([max(r.duration_s, 1e-9) for r in results])
    summary = {
        **_means(results),
        "offroad_fraction": float(
            np.average([r.offroad_fraction for r in results], weights=frames) if results else 0.0
        ),
        "plan_ms_p50": float(np.percentile(times, 50)),
        "plan_ms_p99": float(np.percentile(times, 99)),
        "deadline_miss_rate": float(np.mean(times > deadline_ms)),
        "routes": len(results),
        "seeds": len({r.seed for r in results}),
        "routes_with_collision": sum(r.collisions > 0 for r in results),
        "red_lights": sum(r.red_lights for r in results),
        "mean_speed_mps": sum(r.driven_m for r in results) / max(float(frames.sum()), 1e-9),
        "km": driven_km,
        **_rates(results, km),
        **_shares(results),
        "scenarios": _scenarios(results),
        "groups": _groups(results),
        **about,
    }
    return {"summary": summary, "routes": [asdict(r) for r in results]}


def _means(results: Sequence[RouteResult]) -> dict:
    found: dict[str, Any] = {}
    for name in MEANS:
        known = [r for r in results if getattr(r, name) is not None]
        values = [getattr(r, name) for r in known]
        found[name] = float(np.mean(values)) if values else None
        interval = bootstrap_mean(values, [route_key(r) for r in known]) if values else None
        found[f"{name}_95"] = interval
    for name in ("route_completion", "driving_score"):  # numbers in every report
        found[name] = found[name] or 0.0
        found[f"{name}_95"] = found[f"{name}_95"] or (0.0, 0.0)
    return found


def _rates(results: Sequence[RouteResult], km: float) -> dict:
    """Events per driven km, together and by kind."""
    totals = {
        "collisions": sum(r.collisions for r in results),
        "at_fault_collisions": sum(r.at_fault_collisions for r in results),
        "red_lights": sum(r.red_lights for r in results),
    }
    counts = count_kinds(i for r in results for i in r.infractions)
    return {
        **{f"{name}_per_km": count / km for name, count in totals.items()},
        **{f"{name}_per_km_95": poisson_rate(count, km) for name, count in totals.items()},
        "infractions": counts,
        "infractions_per_km": {kind: counts[kind] / km for kind in KINDS},
        "infractions_per_km_95": {kind: poisson_rate(counts[kind], km) for kind in KINDS},
    }


def _shares(results: Sequence[RouteResult]) -> dict:
    """Shares of drives, 0 to 1; None where none was asked."""
    found: dict[str, Any] = {}
    for name in SHARES:
        asked = [getattr(r, name) for r in results if getattr(r, name) is not None]
        found[name] = sum(asked) / len(asked) if asked else None
        found[f"{name}_95"] = wilson(sum(asked), len(asked)) if asked else None
    return found


def _scenarios(results: Sequence[RouteResult]) -> dict[str, list[int]]:
    """[mastered, runs] by name."""
    staged = [r for r in results if r.scenario_success is not None]
    return {
        name: [sum(bool(r.scenario_success) for r in runs), len(runs)]
        for name in sorted({r.scenario for r in staged})
        for runs in [[r for r in staged if r.scenario == name]]
    }


def _groups(results: Sequence[RouteResult]) -> dict[str, dict[str, dict]]:
    """The scores by town, weather, fault and scenario, where a suite has more than one of them."""
    found = {}
    for group in GROUPS:
        values = list(dict.fromkeys(getattr(r, group) for r in results))
        if len(values) > 1:
            found[group] = {
                value or "none": _of_group([r for r in results if getattr(r, group) == value])
                for value in values
            }
    return found


def _of_group(results: list[RouteResult]) -> dict[str, Any]:
    names = ("route_completion", "driving_score", "driving_score_21")
    means = {k: v for k, v in _means(results).items() if k.removesuffix("_95") in names}
    km = max(sum(r.driven_m for r in results) / 1000.0, 1e-9)
    at_fault = sum(r.at_fault_collisions for r in results)
    return {
        "routes": len(results),
        **means,
        "routes_with_collision": sum(r.collisions > 0 for r in results),
        "at_fault_collisions_per_km": at_fault / km,
        "at_fault_collisions_per_km_95": poisson_rate(at_fault, km),
        "red_lights": sum(r.red_lights for r in results),
    }
