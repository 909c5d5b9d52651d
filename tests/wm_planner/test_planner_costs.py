"""Cost terms: each on a future in which it, and it alone, has something to say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_world import STRAIGHT

from wm_planner import costs, terms
from wm_planner.future import Future, against_route
from wm_planner.hazards import perceived
from wm_planner.planner_config import CostWeights, PlannerConfig

CONFIG = PlannerConfig()
H = 4
ALL = np.ones(H)


def future(**changes) -> Future:
    """Two candidates that do what is wanted; ``changes`` are given to the second one."""
    zero = np.zeros((2, H))
    heads = dict.fromkeys(
        ("collision", "near", "off_road", "red_violation", "leader_presence", "stop_presence"), zero
    )
    heads |= dict.fromkeys(("leader_gap", "leader_speed", "stop_distance"), zero + 100.0)
    base = Future(
        speed=zero + 5.0, yaw_rate=zero, lateral=zero, heading_error=zero,
        actions=np.zeros((2, H, 2)), before=np.zeros(2), heads=heads, disagreement=np.zeros(2),
        wanted_mps=5.0, value=np.zeros(2),
    )  # fmt: skip
    for name, value in changes.items():
        if name in heads:
            both = base.heads[name].copy()
            both[1] = value
            base = replace(base, heads={**base.heads, name: both})
        else:
            both = getattr(base, name).copy()
            both[1] = value
            base = replace(base, **{name: both})
    return base


BAD = {
    "lateral": {"lateral": 1.0},
    "heading": {"heading_error": 0.2},
    "speed": {"speed": 7.0},
    "lateral_acceleration": {"yaw_rate": 0.8},
    "leader": {"leader_presence": 1.0, "leader_gap": 3.0, "leader_speed": 0.0},
    "stop_line": {"stop_presence": 1.0, "stop_distance": 4.0},
    "collision": {"collision": 0.5},
    "near": {"near": 0.5},
    "off_road": {"off_road": 0.5},
    "red_light": {"red_violation": 0.5},
    "smoothness": {"actions": np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.0], [0.5, 0.0]])},
    "disagreement": {"disagreement": 0.3},
    "value": {"value": -2.0},
}


@pytest.mark.parametrize("name", costs.TERMS)
def test_every_term_has_something_against_its_own_fault_and_nothing_against_others(name):
    for other, changes in BAD.items():
        cost = costs.TERMS[name](future(**changes), CONFIG)
        cost = cost.mean(1) if cost.ndim == 2 else cost
        assert cost[0] == 0.0
        assert bool(cost[1] > 0.0) == (other == name), other


def test_every_weight_has_a_term_and_every_term_a_file_and_a_weight():
    assert set(costs.TERMS) == set(CostWeights.model_fields)
    files = {path.stem for path in Path(terms.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(costs.TERMS) == files
    assert set(costs.RISKS) < set(costs.TERMS)


@pytest.mark.parametrize("name", ["near", "leader", "stop_line", "red_light"])
def test_who_stands_pays_nothing(name):
    standing = future(**BAD[name])
    standing.speed[1] = 0.0
    assert costs.TERMS[name](standing, CONFIG)[1].sum() == 0.0


def test_out_of_the_lane_every_metre_costs_more():
    def cost(metres):
        return costs.TERMS["lateral"](future(lateral=metres), CONFIG)[1, 0]

    assert cost(0.6) == pytest.approx(0.36)
    assert cost(1.6) == cost(-1.6) == pytest.approx(2.56 + 5.0)


def test_one_bad_step_costs_no_more_than_the_cap():
    bad = future(stop_presence=1.0, stop_distance=-1e6)
    assert costs.TERMS["stop_line"](bad, CONFIG).max() == 150.0
    assert costs.TERMS["lateral"](future(lateral=1e3), CONFIG).max() == 25.0


def test_the_total_is_the_weighted_sum():
    config = PlannerConfig(weights=CostWeights(collision=10.0, near=0.0))
    scored = costs.total(future(collision=0.5, near=0.5), config, ALL)
    np.testing.assert_allclose(scored.total, [0.0, 5.0])
    assert scored.terms["collision"][1] == pytest.approx(5.0) and "near" not in scored.terms


def test_steps_count_as_far_as_they_are_trusted():
    late = future(collision=np.array([0.0, 0.0, 0.0, 1.0]))
    whole = costs.total(late, CONFIG, ALL).total[1]
    half = costs.total(late, CONFIG, np.array([1.0, 1.0, 1.0, 0.5])).total[1]
    none = costs.total(late, CONFIG, np.array([1.0, 1.0, 1.0, 0.0])).total[1]
    assert (whole, half, none) == pytest.approx((15.0, 60.0 / 7.0, 0.0))


def test_risks_weigh_more_in_doubt_and_wishes_do_not():
    scored = costs.total(future(collision=0.5, lateral=1.0), CONFIG, ALL, risk_factor=3.0)
    plain = costs.total(future(collision=0.5, lateral=1.0), CONFIG, ALL)
    assert scored.terms["collision"][1] == 3.0 * plain.terms["collision"][1]
    assert scored.terms["lateral"][1] == plain.terms["lateral"][1]


@pytest.mark.parametrize("what", ["speed", "lateral", "collision"])
def test_what_is_not_finite_is_infinitely_dear_whatever_the_weights(what):
    weights = CostWeights(**{**dict.fromkeys(CostWeights.model_fields, 0.0), "collision": 1.0})
    scored = costs.total(future(**{what: np.nan}), PlannerConfig(weights=weights), ALL)
    assert scored.total[0] == 0.0 and scored.total[1] == np.inf and scored.usable


def test_lateral_offset_and_heading_have_the_right_sign():
    path = np.array([[[10.0, 1.0, 0.1]]])
    lateral, heading = against_route(path, STRAIGHT)
    assert lateral[0, 0] == pytest.approx(1.0)
    assert heading[0, 0] == pytest.approx(0.1)


# ------------------------------------------------------------------ perceived hazards

NOW = {
    "leader_presence": 0.9, "leader_gap": 10.0, "leader_speed": 2.0, "stop_presence": 0.8,
    "stop_distance": 5.0, "collision": 0.01, "near": 0.02, "off_road": 0.0, "red_violation": 0.0,
}  # fmt: skip


def test_perceived_hazards_move_at_constant_speed():
    speed = np.array([[5.0, 5.0], [0.0, 0.0]])
    heads = perceived(NOW, speed, 0.5)
    np.testing.assert_allclose(heads["leader_gap"], [[8.5, 7.0], [11.0, 12.0]])
    np.testing.assert_allclose(heads["stop_distance"], [[2.5, 0.0], [5.0, 5.0]])
    np.testing.assert_allclose(heads["near"], 0.02)
    np.testing.assert_allclose(heads["red_violation"], [[0.0, 0.8], [0.0, 0.0]])
    fast = perceived(NOW, np.full((1, 2), 15.0), 0.5)
    np.testing.assert_allclose(fast["collision"], [[0.01, 0.9]])
