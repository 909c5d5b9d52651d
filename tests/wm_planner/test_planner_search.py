"""Splines and the two optimisers, without a world."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.arithmetic_numpy import NumpyArithmetic
from wm_planner.icem import Icem
from wm_planner.mppi import Mppi, effective_size, softmin, temperature_for
from wm_planner.planner_config import PlannerConfig
from wm_planner.splines import Spline, catmull_rom

RNG = np.random.default_rng(0)


# ------------------------------------------------------------------ splines


def test_the_curve_runs_through_its_knots_and_is_straight_where_they_are():
    spline = Spline.make(horizon=15, knots=8, frame_steps=0.5)
    knots = RNG.uniform(-0.5, 0.5, (8, 2))
    np.testing.assert_allclose(spline.steps(knots)[::2], knots, atol=1e-12)
    line = np.stack([np.linspace(-0.7, 0.7, 8), np.full(8, 0.3)], -1)
    inner = spline.steps(line)[2:-2]
    np.testing.assert_allclose(np.diff(inner[:, 0]), 0.1, atol=1e-12)
    np.testing.assert_allclose(inner[:, 1], 0.3)


def test_as_many_knots_as_steps_is_no_spline():
    spline = Spline.make(15, 15, 0.5)
    np.testing.assert_allclose(spline.steps_of, np.eye(15), atol=1e-12)
    np.testing.assert_allclose(spline.knots_of, np.eye(15), atol=1e-12)


@pytest.mark.parametrize("knots", [2, 5, 15])
def test_knots_fitted_to_steps_are_those_they_came_from(knots):
    spline = Spline.make(15, knots, 0.5)
    wanted = RNG.uniform(-0.4, 0.4, (3, knots, 2))
    np.testing.assert_allclose(spline.fit(spline.steps(wanted)), wanted, atol=1e-9)


def test_a_plan_moves_on_by_one_frame_and_holds_its_end():
    spline = Spline.make(15, 15, 1.0)
    knots = RNG.uniform(-1, 1, (15, 2))
    np.testing.assert_allclose(spline.shifted(knots)[:-1], knots[1:], atol=1e-12)
    np.testing.assert_allclose(spline.shifted(knots)[-1], knots[-1], atol=1e-12)
    half = Spline.make(15, 15, 0.5)
    ramp = np.repeat(np.linspace(-0.7, 0.7, 15)[:, None], 2, 1)
    np.testing.assert_allclose(half.shifted(ramp)[1:-2], ramp[1:-2] + 0.05, atol=1e-12)


def test_weights_sum_to_one_everywhere():
    weights = catmull_rom(6, np.linspace(-1.0, 7.0, 50))
    np.testing.assert_allclose(weights.sum(1), 1.0)


def test_steps_stay_within_limits_where_the_curve_overshoots():
    knots = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]])
    assert np.abs(Spline.make(15, 4, 0.5).steps(knots)).max() <= 1.0


# ------------------------------------------------------------------ optimisers

CONFIG = PlannerConfig(candidates=64, elites=8, kept_elites=4)
NOTHING = np.zeros((0, 15, 2))
GOAL = np.stack([np.linspace(-0.3, 0.5, 15), np.linspace(0.6, -0.2, 15)], -1)


def distance(knots: np.ndarray) -> np.ndarray:
    return np.square(knots - GOAL).sum((-1, -2))


def search(kind, config: PlannerConfig = CONFIG, frames: int = 12, seed: int = 0):
    """Towards a goal that does not move, although the plan is moved on."""
    optimiser = kind(config, Spline.make(15, 15, 0.0), NumpyArithmetic())
    optimiser.reset(seed)
    for _ in range(frames):
        optimiser.begin()
        for _ in range(config.iterations):
            knots, _ = optimiser.ask(NOTHING)
            optimiser.tell(knots, distance(knots))
        optimiser.commit(optimiser.finalists(1)[0])
    return optimiser


@pytest.mark.parametrize("kind", [Icem, Mppi])
def test_both_find_the_cheapest_sequence_the_same_way_for_the_same_seed(kind):
    found = search(kind)
    assert distance(found.mean) < 0.4 * distance(np.zeros((15, 2)))
    np.testing.assert_array_equal(found.mean, search(kind).mean)
    assert not np.array_equal(found.mean, search(kind, seed=1).mean)


@pytest.mark.parametrize("kind", [Icem, Mppi])
def test_more_iterations_come_nearer(kind):
    once, often = (
        np.mean([distance(search(kind, CONFIG.model_copy(update={"iterations": n}), 1, s).mean)
                 for s in range(5)])
        for n in (1, 6)
    )  # fmt: skip
    assert often < once


@pytest.mark.parametrize("kind", [Icem, Mppi])
def test_sequences_without_a_usable_cost_are_never_elites(kind):
    optimiser = kind(CONFIG, Spline.make(15, 15, 0.5), NumpyArithmetic())
    optimiser.begin()
    knots, _ = optimiser.ask(NOTHING)
    cost = np.full(len(knots), np.inf)
    cost[[5, 9]] = 2.0, 1.0
    unusable = np.isinf(cost)
    knots[unusable] = 1e6
    optimiser.tell(knots, cost)
    assert np.abs(optimiser.mean).max() <= 1.0
    finalists = optimiser.finalists(6)
    assert 2 <= len(finalists) <= 3 and np.abs(finalists).max() <= 1.0


@pytest.mark.parametrize("kind", [Icem, Mppi])
def test_elites_are_kept_for_the_next_frame_and_proposals_are_tried(kind):
    optimiser = kind(CONFIG, Spline.make(15, 15, 0.0), NumpyArithmetic())
    optimiser.begin()
    first, _ = optimiser.ask(GOAL[None])
    assert (first == GOAL).all((1, 2)).any()
    optimiser.tell(first, distance(first))
    optimiser.commit(optimiser.finalists(1)[0])
    optimiser.begin()
    assert (optimiser.ask(NOTHING)[0] == GOAL).all((1, 2)).any()
    optimiser.forget()
    optimiser.begin()
    assert not (optimiser.ask(NOTHING)[0] == GOAL).all((1, 2)).any()


def test_populations_shrink():
    optimiser = Icem(CONFIG, Spline.make(15, 15, 0.5), NumpyArithmetic())
    optimiser.begin()
    counts = []
    for _ in range(3):
        knots, _ = optimiser.ask(NOTHING)
        optimiser.tell(knots, distance(knots))
        counts.append(len(knots))
    assert counts[1] < counts[0] + CONFIG.kept_elites and counts[2] < counts[1]


# ------------------------------------------------------------------ mppi's temperature


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("size", [2.0, 10.0, 60.0])
def test_the_temperature_lets_as_many_count_as_asked_whatever_the_costs(scale, size):
    cost = scale * np.random.default_rng(3).exponential(size=100)
    weights = softmin(cost, temperature_for(cost, size))
    assert effective_size(weights) == pytest.approx(size, rel=1e-3)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.argmax() == cost.argmin()


def test_costs_that_are_equal_or_infinite_have_a_temperature_too():
    cost = np.array([np.inf, 3.0, 3.0, np.inf])
    np.testing.assert_allclose(softmin(cost, temperature_for(cost, 2.0)), [0.0, 0.5, 0.5, 0.0])
