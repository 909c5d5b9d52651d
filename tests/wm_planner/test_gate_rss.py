"""RSS distances: golden values, the ad-rss library as oracle, monotone where the paper is."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.gate_config import LastResortConfig, RssConfig
from wm_planner.gate_rss import (
    lateral_distance,
    needed_braking,
    opposite_direction_distance,
    same_direction_distance,
)

RSS = RssConfig()
NAN, INF = float("nan"), float("inf")

# Computed with PyPI ad-rss 5.0.0 (used as an oracle only), m/s -> m.
SAME_DIRECTION = {  # (rear, front)
    (5.0, 0.0): 15.7812,
    (10.0, 0.0): 34.5312,
    (10.0, 10.0): 28.2812,
    (13.9, 13.9): 41.4194,
    (15.0, 5.0): 57.9688,
    (20.0, 20.0): 65.7812,
    (30.0, 0.0): 172.0312,
}
OPPOSITE = {(10.0, 10.0): 105.2500, (5.0, 10.0): 81.9167}  # (ego, other)
LATERAL = {(0.0, 0.0): 0.7250, (0.5, 0.0): 1.50625, (0.5, -0.5): 2.9125}  # left, right; + right

SPEED = st.floats(0.0, 60.0)
SIDEWAYS = st.floats(-5.0, 5.0)
MORE = st.floats(0.0, 20.0)


@pytest.mark.parametrize("speeds", SAME_DIRECTION)
def test_same_direction_equals_the_golden_values(speeds):
    distance = same_direction_distance(*speeds, RSS.response_s, RSS)
    assert distance == pytest.approx(SAME_DIRECTION[speeds], abs=1e-4)


@pytest.mark.parametrize("speeds", OPPOSITE)
def test_opposite_direction_equals_the_golden_values(speeds):
    for sign in (1.0, -1.0):
        distance = opposite_direction_distance(speeds[0], sign * speeds[1], RSS)
        assert distance == pytest.approx(OPPOSITE[speeds], abs=1e-4)


@pytest.mark.parametrize("speeds", LATERAL)
def test_lateral_equals_the_golden_values(speeds):
    left, right = speeds
    assert lateral_distance(left, -right, RSS) == pytest.approx(LATERAL[speeds], abs=1e-5)


@pytest.fixture(scope="module")
def oracle():
    pytest.importorskip(
        "ad_rss", reason="needs PyPI ad-rss 5.0.0 (extra 'dev'; wheels for CPython 3.11 and older)"
    )
    path = Path(__file__).parent / "rss_oracle.py"
    spec = importlib.util.spec_from_file_location("rss_oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:to-Python converter")
@pytest.mark.parametrize("seed", range(50))
def test_distances_equal_those_of_ad_rss(oracle, seed):
    rng = np.random.default_rng(seed)
    ego, other = rng.uniform(0.0, 40.0, 2)
    left, right = rng.uniform(-3.0, 3.0, 2)
    one = oracle.vehicle(RSS, ego, left, RSS.response_s)
    two = oracle.vehicle(RSS, other, right, RSS.other_response_s)

    wanted = oracle.distance("LongitudinalDistanceSameDirection", two, one)
    assert same_direction_distance(ego, other, RSS.response_s, RSS) == pytest.approx(wanted)
    wanted = oracle.distance("LongitudinalDistanceSameDirection", one, two)
    assert same_direction_distance(other, ego, RSS.other_response_s, RSS) == pytest.approx(wanted)
    wanted = oracle.distance("LongitudinalDistanceOppositeDirection", one, two)
    assert opposite_direction_distance(ego, other, RSS) == pytest.approx(wanted)
    wanted = oracle.distance("LateralDistance", one, two)
    # The paper keeps the margin for two that drift apart, the library lets them use it up.
    wanted = max(RSS.lateral_margin_m, wanted)
    assert lateral_distance(left, -right, RSS) == pytest.approx(wanted, abs=1e-6)


@settings(deadline=None)
@given(SPEED, SPEED, MORE, st.floats(0.0, 3.0))
def test_same_direction_grows_with_own_speed_and_response_and_shrinks_with_the_leaders(
    rear, front, more, slower
):
    distance = same_direction_distance(rear, front, 1.0, RSS)
    assert same_direction_distance(rear + more, front, 1.0, RSS) >= distance
    assert same_direction_distance(rear, front, 1.0 + slower, RSS) >= distance
    assert same_direction_distance(rear, front + more, 1.0, RSS) <= distance


@settings(deadline=None)
@given(SPEED, SPEED, MORE, st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_opposite_direction_grows_with_both_speeds_and_responses(ego, other, more, slow, sleepy):
    distance = opposite_direction_distance(ego, other, RSS)
    assert opposite_direction_distance(ego + more, other, RSS) >= distance
    assert opposite_direction_distance(ego, other + more, RSS) >= distance
    slower = RssConfig(response_s=1.0 + slow, other_response_s=2.0 + sleepy)
    assert opposite_direction_distance(ego, other, slower) >= distance


@settings(deadline=None)
@given(SIDEWAYS, SIDEWAYS, MORE)
def test_lateral_grows_with_the_approach_of_either(ego, other, more):
    distance = lateral_distance(ego, other, RSS)
    assert distance >= RSS.lateral_margin_m
    assert lateral_distance(ego + more, other, RSS) >= distance
    assert lateral_distance(ego, other + more, RSS) >= distance


@settings(deadline=None)
@given(st.floats(0.1, 60.0), st.floats(-60.0, 60.0), st.floats(0.0, 200.0))
def test_the_needed_braking_is_more_than_the_configured_one_exactly_below_the_safe_gap(
    ego, other, gap
):
    rss = LastResortConfig()
    if other < 0.0:
        safe = opposite_direction_distance(ego, other, rss)
    else:
        safe = same_direction_distance(ego, other, rss.response_s, rss)
    if abs(gap - safe) > 1e-6:
        assert (needed_braking(ego, other, gap, rss) > rss.brake_min_mps2) == (gap < safe)


def test_needed_braking_stops_the_car_where_it_has_to():
    rss = RssConfig(response_s=0.5, other_response_s=0.5, accel_mps2=1.0)
    # 10 m/s: 5.125 m during the response time, then 10.5 m/s to get rid of.
    assert needed_braking(10.0, 0.0, 5.125 + 10.5**2 / 12.0, rss) == pytest.approx(6.0)
    # A leader that brakes from 8 m/s at 8 m/s^2 makes 4 m more room.
    assert needed_braking(10.0, 8.0, 1.125 + 10.5**2 / 12.0, rss) == pytest.approx(6.0)
    # Against us: 8 m/s, 4.125 m during its response time, then 8.5 m/s at 4 m/s^2.
    comes = 4.125 + 8.5**2 / 8.0
    assert needed_braking(10.0, -8.0, comes + 5.125 + 10.5**2 / 12.0, rss) == pytest.approx(6.0)
    assert needed_braking(10.0, 0.0, 5.125, rss) == INF
    assert needed_braking(10.0, 0.0, 1.0, rss) == INF
    # Backwards counts as standing: only what it may gain during the response time.
    assert needed_braking(-5.0, 0.0, 0.125 + 0.5**2 / 12.0, rss) == pytest.approx(6.0)


def test_who_drives_backwards_counts_as_standing():
    assert same_direction_distance(-3.0, -2.0, 1.0, RSS) == same_direction_distance(0, 0, 1.0, RSS)
    assert opposite_direction_distance(-3.0, 5.0, RSS) == opposite_direction_distance(0, 5.0, RSS)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 100.1])
def test_speeds_that_cannot_be_used_need_infinite_room(bad):
    for pair in ((bad, 5.0), (5.0, bad)):
        assert same_direction_distance(*pair, 1.0, RSS) == math.inf
        assert opposite_direction_distance(*pair, RSS) == math.inf
        assert lateral_distance(*pair, RSS) == math.inf
        assert needed_braking(*pair, 50.0, RSS) == math.inf
    assert same_direction_distance(100.0, 100.0, 1.0, RSS) < math.inf


def test_arrays_give_what_numbers_give():
    rear, front = np.array([5.0, NAN, 30.0]), 0.0
    found = same_direction_distance(rear, front, 1.0, RSS)
    assert found.tolist() == pytest.approx([15.78125, math.inf, 172.03125])
