"""Paired comparisons: what is paired, the intervals, and p-values against exact ones."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_training.comparison import compare, differences, paired, sign_flip_p
from wm_training.intervals import bootstrap_mean
from wm_training.scoring import RouteResult


def result(route, score, seed=0, **about):
    values = RouteResult(
        "tiny", route, "completed", 300.0, 100.0, score, 0, 0, 0.0, 300.0, 60.0, 5.0, 0.1,
        seed=seed,
    )  # fmt: skip
    return replace(values, **about)


def report(results, driver="planner", **about):
    summary = {"driver": driver, "suite": "s", **about}
    return {"summary": summary, "routes": [asdict(r) for r in results]}


def test_pairs_are_identical_routes():
    a = [result(0, 90.0), result(0, 80.0, seed=1), result(1, 70.0), result(2, 60.0, fault="x:y")]
    b = [result(1, 50.0), result(0, 60.0, seed=1), result(2, 40.0), result(3, 10.0)]
    found = paired(a, b)
    assert [(x.driving_score, y.driving_score) for x, y in found] == [(80.0, 60.0), (70.0, 50.0)]
    with pytest.raises(UserError, match="no route in common"):
        paired(a[:1], b[:1])
    with pytest.raises(UserError, match="more than once"):
        paired([a[0], a[0]], b)


def test_a_clear_difference_is_found_and_none_is_not():
    rng = np.random.default_rng(3)
    base = rng.uniform(40, 100, 30)
    better = [result(i, s + 5 + rng.normal(0, 3)) for i, s in enumerate(base)]
    same = [result(i, s + rng.normal(0, 3)) for i, s in enumerate(base)]
    other = [result(i, s) for i, s in enumerate(base)]
    (clear,) = [d for d in differences(paired(better, other)) if d.measure == "driving_score"]
    assert clear.low > 2.0
    assert clear.p < 0.001
    assert clear.low < clear.difference < clear.high
    assert clear.difference == pytest.approx(clear.a - clear.b)
    (none,) = [d for d in differences(paired(same, other)) if d.measure == "driving_score"]
    assert none.low < 0.0 < none.high
    assert none.p > 0.05


def test_p_of_few_routes_is_exact():
    assert sign_flip_p(np.array([1.0, 2.0, 3.0]), [0, 1, 2]) == pytest.approx(2 / 8)
    assert sign_flip_p(np.zeros(5), range(5)) == 1.0
    mixed = np.array([3.0, -1.0, 2.0])
    # |sum| = 4 is reached by +-(3 -1 +2) and +-(3 +1 +2): 4 of 8 patterns.
    assert sign_flip_p(mixed, [0, 1, 2]) == pytest.approx(4 / 8)


def test_seeds_of_one_route_are_no_independent_witnesses():
    values = np.tile([10.0, -10.0, 10.0], (20, 1)).T.ravel()  # three routes, 20 seeds each
    routes = np.repeat([0, 1, 2], 20)
    assert sign_flip_p(values, routes.tolist()) == 1.0
    assert sign_flip_p(values, list(range(60))) < 0.05
    apart = bootstrap_mean(values.tolist())
    together = bootstrap_mean(values.tolist(), routes.tolist())
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])
    alone = bootstrap_mean([1.0, 5.0, 2.0])
    assert bootstrap_mean([1.0, 5.0, 2.0], ["a", "b", "c"]) == alone


def test_a_measure_that_is_missing_is_left_out():
    a = [result(0, 90.0, comfortness=50.0), result(1, 90.0)]
    b = [result(0, 80.0, comfortness=40.0), result(1, 80.0, comfortness=10.0)]
    found = {d.measure: d for d in differences(paired(a, b))}
    assert found["comfortness"].pairs == 1
    assert found["comfortness"].difference == pytest.approx(10.0)
    assert "nocrash_success" not in found
    assert found["driving_score"].pairs == 2


def test_a_comparison_says_who_and_what_was_left_out():
    a = report([result(0, 90.0), result(1, 90.0)], settings=["horizon=20"], gate=False)
    found = compare(a, report([result(0, 80.0)], driver="expert"))
    assert (found["a"], found["b"]) == ("planner (no gate, horizon=20)", "expert")
    assert (found["pairs"], found["left_out"]) == (1, 1)
