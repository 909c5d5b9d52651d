"""Two drivers on identical routes: the differences route by route, with intervals and p-values."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from wm_dynamics.errors import UserError
from wm_training.intervals import bootstrap_mean
from wm_training.report_files import label_of, results_of
from wm_training.scoring import RouteResult
from wm_training.summary import route_key


class Measure(NamedTuple):
    """How a field of RouteResult is shown: its label, and the factor that makes it that."""

    label: str
    factor: float = 1.0


MEASURES = {
    "driving_score": Measure("driving score (2.0)"),
    "driving_score_21": Measure("driving score (2.1)"),
    "route_completion": Measure("route completion %"),
    "bench2drive_success": Measure("Bench2Drive success %", 100.0),
    "nocrash_success": Measure("NoCrash success %", 100.0),
    "scenario_success": Measure("scenarios mastered %", 100.0),
    "collisions": Measure("collisions / 100 drives", 100.0),
    "at_fault_collisions": Measure("at fault / 100 drives", 100.0),
    "red_lights": Measure("red lights / 100 drives", 100.0),
    "driving_efficiency": Measure("efficiency %"),
    "comfortness": Measure("comfort %"),
}
FLIPS = 10_000
EXACT_UP_TO = 13  # groups: 2^13 sign patterns are fewer than FLIPS


@dataclass(frozen=True)
class Difference:
    """How one measure differs, a minus b.

    Attributes:
        measure: of RouteResult; shares and counts are per 100 drives.
        pairs: drives that both drove.
        a, b: means over the pairs.
        difference: of the means.
        low, high: 95 % interval of it, bootstrap over routes.
        p: chance of a difference at least as large if drivers were exchangeable on every route
            (two-sided sign-flip test over routes).
    """

    measure: str
    pairs: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float


def paired(
    a: Sequence[RouteResult], b: Sequence[RouteResult]
) -> list[tuple[RouteResult, RouteResult]]:
    """The drives of the same route, world, fault and seed, in ``a``'s order.

    Raises:
        UserError: a driver drove the same route twice with one seed, or they share none.
    """
    rows = []
    for results in (a, b):
        keyed = {(*route_key(r), r.seed): r for r in results}
        if len(keyed) < len(results):
            raise UserError("a report has the same route with the same seed more than once")
        rows.append(keyed)
    pairs = [(result, rows[1][key]) for key, result in rows[0].items() if key in rows[1]]
    if not pairs:
        raise UserError("the reports have no route in common (town, route, scenario, seed ...)")
    return pairs


def differences(pairs: Sequence[tuple[RouteResult, RouteResult]]) -> list[Difference]:
    """How the first of each pair differs from the second, measure by measure.

    A measure that a drive lacks is left out with its pair, and altogether when no pair has it.
    """
    found = []
    for name, measure in MEASURES.items():
        known = [
            (float(x) * measure.factor, float(y) * measure.factor, route_key(first))
            for first, second in pairs
            for x, y in [(getattr(first, name), getattr(second, name))]
            if x is not None and y is not None
        ]
        if not known:
            continue
        a, b = (np.array([row[i] for row in known]) for i in (0, 1))
        groups = [row[2] for row in known]
        low, high = bootstrap_mean(list(a - b), groups)
        means = float(a.mean()), float(b.mean())
        p = sign_flip_p(a - b, groups)
        found.append(Difference(name, len(known), *means, means[0] - means[1], low, high, p))
    return found


def sign_flip_p(values: np.ndarray, groups: Sequence[Hashable], seed: int = 0) -> float:
    """Two-sided p of a mean difference; all values of a group change sign together.

    Every sign pattern counts when there are few groups, else 10,000 random ones and the one seen.
    """
    names = list(dict.fromkeys(groups))
    row = {name: index for index, name in enumerate(names)}
    sums = np.bincount([row[name] for name in groups], values, len(names))
    if len(names) <= EXACT_UP_TO:
        bits = np.arange(2 ** len(names))[:, None] >> np.arange(len(names)) & 1
        signs, seen = 2.0 * bits - 1.0, 0
    else:
        rng = np.random.default_rng([seed, len(names)])
        signs, seen = rng.choice([-1.0, 1.0], size=(FLIPS, len(names))), 1
    reached = abs(signs @ sums) >= abs(sums.sum()) - 1e-9
    return float((reached.sum() + seen) / (len(signs) + seen))


def compare(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The comparison of two reports, for JSON: who, on which suite, and the differences.

    Raises:
        UserError: see :func:`paired`.
    """
    pairs = paired(results_of(a), results_of(b))
    return {
        "a": label_of(a["summary"]),
        "b": label_of(b["summary"]),
        "suite": a["summary"]["suite"],
        "pairs": len(pairs),
        "left_out": len(a["routes"]) + len(b["routes"]) - 2 * len(pairs),
        "differences": [asdict(difference) for difference in differences(pairs)],
    }
