"""The shipped towns and their routes."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.town_map import TownMap
from wm_sim.alignment import lane_alignment
from wm_sim.generate import MAX_MISALIGNMENT_M, RECIPES
from wm_sim.routes import MAX_LENGTH_M, MIN_LENGTH_M, is_drivable, load_router, route_list
from wm_sim.town_files import TOWN_DIR, list_towns, load_town

TOWNS = list_towns()


def test_six_train_two_validation_two_test_towns():
    splits = [name.rstrip("0123456789") for name in TOWNS]
    assert sorted(splits) == ["test"] * 2 + ["tiny"] + ["train"] * 6 + ["val"] * 2
    assert set(TOWNS) == set(RECIPES)


def test_no_two_towns_are_equal():
    assert len({load_town(name).xodr_text for name in TOWNS}) == len(TOWNS)


@pytest.mark.parametrize("name", TOWNS)
def test_files_are_small(name):
    for path in TOWN_DIR.glob(f"{name}.*"):
        assert path.stat().st_size < 150_000


def test_unknown_town_lists_the_known_ones():
    with pytest.raises(UserError, match=r"atlantis.*test01.*train06"):
        load_town("atlantis")


def test_unknown_suite_lists_the_known_ones():
    with pytest.raises(UserError, match=r"night.*default"):
        route_list("tiny", "night")


@pytest.mark.parametrize("name", TOWNS)
def test_routes_are_long_enough_and_drivable(name):
    routes = route_list(name)
    assert len(routes) >= 20
    for route in routes:
        assert MIN_LENGTH_M <= route.length_m <= MAX_LENGTH_M
        assert is_drivable(route.points)
        assert np.abs(np.hypot(*np.diff(route.points, axis=0).T) - 1.0).max() < 0.1


def test_routes_do_not_depend_on_what_was_asked_before():
    before = [route.points for route in route_list("test01")]
    route_list.cache_clear()
    load_router.cache_clear()
    route_list("val01")
    for first, again in zip(before, route_list("test01"), strict=True):
        np.testing.assert_array_equal(first, again.points)


def test_routes_lie_on_the_road():
    town = TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")
    for route in route_list("tiny"):
        assert town.drivable(route.points).mean() > 0.99


def test_random_routes_differ_and_follow_the_seed():
    router = load_router("train01")
    first = router.random_route(np.random.default_rng(3))
    again = router.random_route(np.random.default_rng(3))
    other = router.random_route(np.random.default_rng(4))
    np.testing.assert_array_equal(first.points, again.points)
    assert first.points.shape != other.points.shape or (first.points != other.points).any()


@pytest.mark.parametrize("name", ["tiny", "train04", "test01"])
def test_sumo_and_opendrive_lanes_agree(name):
    worst, p95 = lane_alignment(TOWN_DIR / f"{name}.net.xml.gz", TOWN_DIR / f"{name}.xodr.gz")
    assert worst < MAX_MISALIGNMENT_M
    assert p95 < 0.1
