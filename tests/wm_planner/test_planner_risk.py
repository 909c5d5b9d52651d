"""Risk measures and the choice among finalists, on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.planner_config import RiskConfig
from wm_planner.risk import choose, cvar, risk_adjusted, trust_in_steps, worst_collision

COSTS = np.array([[1.0, 4.0], [3.0, 4.0], [8.0, 4.0]])  # 3 members, 2 finalists
CHECKED = [4, 9, 14]


@pytest.mark.parametrize(
    ("alpha", "first"), [(1.0, 4.0), (2 / 3, 5.5), (1 / 3, 8.0), (0.1, 8.0), (0.5, 9.5 / 1.5)]
)
def test_cvar_is_the_mean_of_the_worst_share(alpha, first):
    np.testing.assert_allclose(cvar(COSTS, alpha), [first, 4.0])


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=8),
    st.floats(0.01, 1.0),
    st.floats(0.01, 1.0),
)
def test_cvar_lies_between_mean_and_worst_and_grows_with_caution(rows, one, other):
    costs = np.array(rows)
    low, high = cvar(costs, max(one, other)), cvar(costs, min(one, other))
    slack = 1e-6 * (1 + np.abs(costs).max())
    assert (costs.mean(0) <= low + slack).all()
    assert (low <= high + slack).all() and (high <= costs.max(0) + slack).all()


def test_beta_prefers_what_the_members_agree_on():
    even, uneven = np.full(3, 4.5), np.array([1.0, 3.0, 8.0])  # mean 4.0
    costs = np.stack([even, uneven], 1)
    assert choose(costs, np.zeros(2), RiskConfig(beta=1e-3)).row == 1
    assert choose(costs, np.zeros(2), RiskConfig(beta=1.0)).row == 0
    wanted = 4.0 + 2.0 * np.std([1.0, 3.0, 8.0])
    assert risk_adjusted(costs, RiskConfig(beta=2.0))[1] == pytest.approx(wanted)


def test_one_member_that_is_not_finite_makes_a_finalist_unusable():
    costs = np.array([[1.0, 4.0], [np.nan, 4.0]])
    assert np.isinf(risk_adjusted(costs, RiskConfig(beta=1.0, cvar_alpha=0.5))[0])
    assert choose(costs, np.zeros(2), RiskConfig()).row == 1


def test_the_worst_member_in_its_worst_trusted_step_while_moving_counts():
    collision = np.zeros((2, 3, 4))
    collision[1, 0, 2] = 0.7  # one member, one step
    collision[0, 1, 3] = 0.9  # beyond trust
    collision[0, 2, 1] = 0.8  # while standing
    moving = np.ones((2, 3, 4), bool)
    moving[:, 2, 1:] = False
    trust = np.array([1.0, 1.0, 0.5, 0.0])
    np.testing.assert_allclose(worst_collision(collision, moving, trust), [0.7, 0.0, 0.0])
    collision[0, 2, 0] = np.nan
    assert worst_collision(collision, moving, trust)[2] == 1.0


def test_members_that_do_not_rank_leave_the_search_its_answer():
    costs = np.array([[2.0, 1.0, 0.5]] * 3)
    config = RiskConfig(max_collision_probability=0.5)
    assert choose(costs, np.array([0.4, 0.0, 0.0]), config).row == 0
    assert choose(costs, np.array([0.6, 0.0, 0.0]), config).row == 2
    assert choose(np.where(costs == 2.0, np.inf, costs), np.zeros(3), config).row == 2
    worst = RiskConfig(cvar_alpha=0.5)
    assert choose(costs, np.array([0.1, 0.0, 0.0]), worst).row == 2


def test_the_cheapest_that_keeps_the_bound_is_chosen():
    costs = np.array([[1.0, 2.0, 3.0]] * 2)
    choice = choose(costs, np.array([0.9, 0.4, 0.0]), RiskConfig(max_collision_probability=0.5))
    assert (choice.row, choice.feasible, choice.collision_probability) == (1, True, 0.4)


def test_the_least_likely_to_collide_is_chosen_where_none_keeps_it():
    costs = np.array([[1.0, 2.0, 3.0, np.inf]] * 2)
    collision = np.array([0.9, 0.7, 0.7, 0.1])
    choice = choose(costs, collision, RiskConfig(max_collision_probability=0.5))
    assert (choice.row, choice.feasible, choice.collision_probability) == (1, False, 0.7)


def spreads(*levels: float) -> np.ndarray:
    return np.tile(levels, (5, 1))


def test_steps_within_the_budget_are_trusted_and_beyond_twice_it_not_at_all():
    config = RiskConfig(horizon_budget=2.0, least_steps=5)
    assert (trust_in_steps(spreads(1.0, 1.5, 2.0), CHECKED, 15, 1.0, config) == 1.0).all()
    trust = trust_in_steps(spreads(1.0, 3.0, 5.0), CHECKED, 15, 1.0, config)
    assert (trust[:6] == 1.0).all()
    assert trust[9] == pytest.approx(0.5) and trust[14] == 0.0
    assert (np.diff(trust) <= 0.0).all()


def test_the_first_steps_always_count_and_lost_trust_does_not_come_back():
    config = RiskConfig(horizon_budget=1.0, least_steps=5)
    assert trust_in_steps(spreads(9.0, 9.0, 9.0), CHECKED, 15, 1.0, config).sum() == 5.0
    trust = trust_in_steps(spreads(0.0, 9.0, 0.0), CHECKED, 15, 1.0, config)
    assert trust[9] == trust[14] == 0.0
    nan = trust_in_steps(spreads(0.0, np.nan, np.nan), CHECKED, 15, 1.0, config)
    assert nan[:5].all() and not nan[9:].any()


def test_without_a_measure_or_a_budget_every_step_counts():
    for unit, budget in ((None, 2.0), (1.0, 0.0)):
        config = RiskConfig(horizon_budget=budget)
        assert (trust_in_steps(spreads(9.0, 9.0, 9.0), CHECKED, 15, unit, config) == 1.0).all()
    blind = trust_in_steps(np.zeros((5, 0)), CHECKED, 15, 1.0, RiskConfig())
    assert (blind == 1.0).all()


def test_the_typical_candidate_decides_not_the_wildest():
    wild = spreads(0.0, 0.0, 0.0)
    wild[0], wild[1] = 100.0, np.nan
    assert (trust_in_steps(wild, CHECKED, 15, 1.0, RiskConfig()) == 1.0).all()
