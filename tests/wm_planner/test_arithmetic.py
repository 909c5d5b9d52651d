"""The C++ arithmetic of a plan against its specification in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_world import PROBABILITIES, STRAIGHT

from wm_dynamics.engine import extension, instruction_sets
from wm_planner import costs
from wm_planner.arithmetic import Around
from wm_planner.arithmetic_cpp import CppArithmetic
from wm_planner.arithmetic_numpy import NumpyArithmetic
from wm_planner.noise import colored_noise
from wm_planner.outcome import Outcome
from wm_planner.philox import WORD, Draw, normals, words
from wm_planner.planner_config import CostWeights, PlannerConfig
from wm_planner.splines import Spline

pytestmark = pytest.mark.skipif(not instruction_sets(), reason="built without a compiler")

CONFIG = PlannerConfig()
NUMPY = NumpyArithmetic()
N, H = 40, 15
TRUST = np.clip(np.linspace(2.0, 0.1, H), 0.0, 1.0)
TURN = np.arange(51) / 20.0
CURVE = 20.0 * np.stack([np.sin(TURN), 1.0 - np.cos(TURN)], 1)


@pytest.fixture(scope="module")
def cpp() -> CppArithmetic:
    return CppArithmetic()


# ------------------------------------------------------------------ what is tried


@pytest.mark.parametrize("seed", [0, 5, -1, 2**40 + 3])
def test_words_and_normals_are_the_same_to_the_bit(seed):
    draw = Draw(seed, 123456, 2)
    wanted = words(draw, 300, 18)
    found = extension().plan_words(*draw.words, 300, 18)
    np.testing.assert_array_equal(found, wanted)
    edges = np.array([0, 1, WORD // 2, WORD // 2 + 1, WORD], np.uint32)
    for asked in (wanted.ravel(), edges):
        np.testing.assert_array_equal(extension().plan_normals(asked), normals(asked))


@pytest.mark.parametrize("knots", [2, 3, 6, 14, 15])
@pytest.mark.parametrize("beta", [0.0, 2.0, 3.5])
def test_sequences_are_the_same_to_the_bit(cpp, knots, beta):
    rng = np.random.default_rng(knots)
    around = Around(rng.uniform(-1, 1, (knots, 2)), rng.uniform(0.01, 2.0, (knots, 2)))
    others = rng.uniform(-1.5, 1.5, (5, knots, 2))
    asked = (Draw(3, 7, 1), N, beta, around, others, Spline.make(H, knots, 0.5))
    for found, wanted in zip(cpp.sample(*asked), NUMPY.sample(*asked), strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert wanted.shape[0] == N + 5 and np.abs(wanted).max() <= 1.0


def test_a_mean_that_is_not_a_number_stays_so(cpp):
    around = Around(np.full((H, 2), np.nan), np.ones((H, 2)))
    found, _ = cpp.sample(Draw(0, 0, 0), 3, 2.0, around, around.mean[None], Spline.make(H, H, 0.5))
    assert np.isnan(found).all()
    noise = colored_noise(Draw(0, 0, 0), 3, H, 2.0)
    assert np.isfinite(noise).all()


# ------------------------------------------------------------------ what it costs


def outcome(dtype=np.float32, **changes) -> Outcome:
    """Random futures in which every term has something to say."""
    rng = np.random.default_rng(4)
    speed = np.maximum(rng.normal(3.0, 4.0, (N, H)), 0.0)
    yaw = np.cumsum(rng.normal(0.0, 0.2, (N, H)), 1)
    step = 0.2 * speed[..., None] * np.stack([np.cos(yaw), np.sin(yaw)], -1)
    path = np.concatenate([np.cumsum(step, 1), yaw[..., None]], -1)
    block = rng.uniform(0.0, 1.0, (N, H, 12)).astype(dtype)
    heads = {name: block[..., i] for i, name in enumerate(PROBABILITIES)}
    for _i, name in enumerate(("leader_gap", "leader_speed", "stop_distance")):
        heads[name] = rng.normal(8.0, 8.0, (H, N)).astype(dtype).T
    assert not heads["near"].flags.c_contiguous
    made = Outcome(
        path=path.astype(dtype), speed=speed.astype(dtype), heads=heads,
        disagreement=rng.exponential(size=N).astype(dtype), actions=rng.uniform(-1, 1, (N, H, 2)),
        before=np.array([0.3, -0.2]), reference=CURVE, dt=0.2, wanted_mps=6.5, value=np.ones(N),
    )  # fmt: skip
    return replace(made, **changes)


def broken(what: str, value: float) -> Outcome:
    made = outcome()
    if what in made.heads:
        head = made.heads[what].copy()
        head[3, 5] = value
        return replace(made, heads={**made.heads, what: head})
    field = getattr(made, what).copy()
    field[(3, *[1] * (field.ndim - 1))] = value
    return replace(made, **{what: field})


def assert_same(cpp, made: Outcome, config=CONFIG, trust=TRUST, risk_factor=2.0) -> costs.Scored:
    found, wanted = (who.score(made, config, trust, risk_factor) for who in (cpp, NUMPY))
    assert set(found.names) == set(wanted.names)
    for name in wanted.names:
        np.testing.assert_allclose(
            found.terms[name], wanted.terms[name], rtol=1e-11, atol=1e-11, err_msg=name
        )
    np.testing.assert_allclose(found.total, wanted.total, rtol=1e-11)
    for one in ("means", "least"):
        ours, theirs = (dict(zip(s.names, getattr(s, one), strict=True)) for s in (found, wanted))
        np.testing.assert_allclose(
            [ours[name] for name in theirs], list(theirs.values()), rtol=1e-11, atol=1e-11
        )
    return found


@pytest.mark.parametrize("name", sorted(costs.TERMS))
def test_every_term_alone_is_the_same(cpp, name):
    weights = CostWeights(**{**dict.fromkeys(CostWeights.model_fields, 0.0), name: 0.7})
    found = assert_same(cpp, outcome(), PlannerConfig(weights=weights))
    assert (found.names == (name,) and np.ptp(found.total) > 0.0) or name == "value"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reference", [STRAIGHT, CURVE, CURVE[:2], np.zeros((4, 2))])
def test_all_terms_together_are_the_same(cpp, dtype, reference):
    found = assert_same(cpp, outcome(dtype, reference=reference))
    assert len(found.names) == 12 and np.isfinite(found.total).all()


CHANGES = [
    {"lane_slack_m": 0.1}, {"max_lateral_acceleration": 0.5}, {"comfortable_deceleration": 1.0},
    {"leader_margin_m": 9.0}, {"leader_headway_s": 3.0}, {"stop_margin_m": 0.0},
    {"weights": CostWeights(value=1.0)},
    {"weights": CostWeights(**dict.fromkeys(CostWeights.model_fields, 0.0))},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=lambda c: next(iter(c)))
def test_every_parameter_of_a_term_counts_alike(cpp, changes):
    plain = assert_same(cpp, outcome())
    changed = assert_same(cpp, outcome(), PlannerConfig(**changes))
    assert not np.array_equal(plain.total, changed.total)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "what", ["path", "speed", "disagreement", "actions", "near", "leader_gap", "red_violation",
             "stop_presence", "collision"]
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_not_finite_costs_alike(cpp, what, value):
    assert_same(cpp, broken(what, value))
    weights = CostWeights(**{**dict.fromkeys(CostWeights.model_fields, 0.0), "collision": 1.0})
    found = assert_same(cpp, broken(what, value), PlannerConfig(weights=weights))
    assert np.isfinite(found.total).sum() >= N - 1


@pytest.mark.parametrize("where", [slice(None), 7])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_route_that_is_not_finite_makes_nothing_usable(cpp, where, value):
    reference = STRAIGHT.copy()
    reference[where] = value
    found = assert_same(cpp, outcome(reference=reference))
    if np.isnan(value):
        assert not found.usable and np.isnan(found.means).all()


def test_a_term_that_only_python_knows_is_added(cpp, monkeypatch):
    def mine(future, config):
        return future.lateral**4 + future.heads["near"]

    monkeypatch.setitem(costs.TERMS, "near", mine)
    monkeypatch.setattr(costs, "IN_CPP", costs.IN_CPP - {"near"})
    own = assert_same(cpp, outcome())
    monkeypatch.undo()
    shipped = assert_same(cpp, outcome())
    assert set(own.names) == set(shipped.names)
    assert not np.allclose(own.total, shipped.total)


def test_terms_that_say_they_are_in_cpp_are():
    assert set(extension().plan_terms()) == costs.IN_CPP


def test_heads_that_no_term_needs_may_be_missing(cpp):
    some = {name: head for name, head in outcome().heads.items() if name != "near"}
    config = PlannerConfig(weights=CostWeights(near=0.0))
    assert_same(cpp, outcome(heads=some), config)
    with pytest.raises(KeyError, match="near"):
        cpp.score(outcome(heads=some), CONFIG, TRUST, 1.0)


# ------------------------------------------------------------------ where to look next


def tried(usable: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(usable)
    cost = np.full(N, np.inf)
    cost[rng.permutation(N)[:usable]] = rng.exponential(50.0, usable).round(0)  # some are equal
    return rng.uniform(-1, 1, (N, H, 2)), cost


@pytest.mark.parametrize("usable", [1, 2, 11, N])
def test_both_updates_are_the_same(cpp, usable):
    knots, cost = tried(usable)
    rng = np.random.default_rng(9)
    around = Around(rng.uniform(-1, 1, (H, 2)), rng.uniform(0.0, 1.0, (H, 2)))
    for momentum, least in ((0.0, 0.03), (0.6, 0.3)):
        best, found = cpp.narrow(knots, cost, 12, around, momentum, least)
        same, wanted = NUMPY.narrow(knots, cost, 12, around, momentum, least)
        np.testing.assert_array_equal(best, same)
        np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-14)
        np.testing.assert_allclose(found.std, wanted.std, atol=1e-14)
        assert len(best) == min(12, usable)
    for share in (0.01, 0.1, 1.0):
        best, mean = cpp.average(knots, cost, 12, share)
        same, wanted_mean = NUMPY.average(knots, cost, 12, share)
        np.testing.assert_array_equal(best, same)
        np.testing.assert_allclose(mean, wanted_mean, atol=1e-9)


# ------------------------------------------------------------------ what does not fit

GOOD = {"count": 3, "mean": np.zeros((4, 2)), "std": np.ones((4, 2)), "waves": np.eye(4),
        "steps_of": np.zeros((6, 4)), "others": np.zeros((1, 4, 2))}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 0), ("mean", np.zeros((4, 3))), ("std", np.ones((3, 2))), ("waves", np.eye(5)),
     ("steps_of", np.zeros((6, 5))), ("others", np.zeros((1, 5, 2))), ("others", np.zeros(3))],
)  # fmt: skip
def test_samples_that_do_not_fit_are_refused(name, value):
    sample = extension().plan_sample
    assert sample(0, 0, 0, **GOOD)[1].shape == (4, 6, 2)
    with pytest.raises(ValueError, match=name):
        sample(0, 0, 0, **{**GOOD, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("path", np.zeros((N, H, 2))), ("speed", np.zeros((N, H, 1))), ("speed", np.zeros((0, H))),
     ("actions", np.zeros((N + 1, H, 2))), ("disagreement", np.zeros(3)),
     ("reference", np.zeros((1, 2))), ("reference", np.zeros((5, 3))),
     ("path", np.zeros((N, H, 3), int))],
)  # fmt: skip
def test_outcomes_that_do_not_fit_are_refused(cpp, name, value):
    with pytest.raises(ValueError, match=rf"{name}|futures|points"):
        cpp.score(outcome(**{name: value}), CONFIG, TRUST, 1.0)
    with pytest.raises(ValueError, match="trust"):
        cpp.score(outcome(), CONFIG, TRUST[1:], 1.0)


def test_updates_without_anything_usable_are_refused(cpp):
    knots, cost = tried(0)
    around = Around(np.zeros((H, 2)), np.ones((H, 2)))
    with pytest.raises(ValueError, match="usable"):
        cpp.narrow(knots, cost, 12, around, 0.1, 0.03)
    with pytest.raises(ValueError, match="usable"):
        cpp.average(knots, cost, 12, 0.1)
    with pytest.raises(ValueError, match="cost"):
        cpp.average(knots, cost[1:], 12, 0.1)
