"""The fixed routes of the towns, and routes to a goal."""

from __future__ import annotations

import hashlib
import math

import carla
import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.town_map import TownMap
from wm_sim.router import MAX_LENGTH_M, MIN_LENGTH_M, Router, is_drivable
from wm_sim.router_graph import LANE_CHANGE_M, change_lane
from wm_sim.routes import load_router, route_list
from wm_sim.town_files import load_town, shipped_towns

# Of the points of all routes, as they were when the shipped model was trained and judged.
FROZEN = {
    "test01": "26b377ce03923781",
    "test02": "19bafd0b9f9a2d7d",
    "tiny": "22e3ba823befc870",
    "train01": "cacaef82f0dadc94",
    "train02": "31670a6dee64ba2c",
    "train03": "a1b5aea8591030e4",
    "train04": "d572533155a8af7b",
    "train05": "11ce6821e50144a8",
    "train06": "dc2d032cbc346c7c",
    "val01": "590c99b417ec71eb",
    "val02": "b434be475b4fdff2",
}
TWO_STREETS = (
    """<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4"/>%s</OpenDRIVE>"""
)
ROAD = """<road name="" length="100" id="{id}" junction="-1"><link>{link}</link><planView>
<geometry s="0" x="{x}" y="{y}" hdg="0" length="100"><line/></geometry></planView>
<elevationProfile/><lateralProfile/><lanes><laneSection s="0">
<center><lane id="0" type="none"/></center><right><lane id="-1" type="driving">
<link>{lane}</link><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right>
</laneSection></lanes></road>"""


def street(first: int, y: float) -> str:
    """Two roads of 100 m, one behind the other."""
    ahead = f'<successor elementType="road" elementId="{first + 1}" contactPoint="start"/>'
    back = f'<predecessor elementType="road" elementId="{first}" contactPoint="end"/>'
    return ROAD.format(id=first, x=0, y=y, link=ahead, lane='<successor id="-1"/>') + ROAD.format(
        id=first + 1, x=100, y=y, link=back, lane='<predecessor id="-1"/>'
    )


def digest(name: str) -> str:
    """Of all routes of a town, to the micrometre."""
    found = hashlib.sha256()
    for route in route_list(name):
        found.update(np.round(route.points * 1e6).astype(np.int64).tobytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("name", FROZEN)
def test_the_routes_of_the_experiments_are_as_they_were(name):
    assert digest(name) == FROZEN[name]


def test_unknown_suite_lists_the_known_ones():
    with pytest.raises(UserError, match=r"night.*default"):
        route_list("tiny", "night")


@pytest.mark.parametrize("name", shipped_towns())
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


def test_random_routes_differ_and_follow_the_seed():
    router = load_router("train01")
    first = router.random_route(np.random.default_rng(3))
    again = router.random_route(np.random.default_rng(3))
    other = router.random_route(np.random.default_rng(4))
    np.testing.assert_array_equal(first.points, again.points)
    assert first.points.shape != other.points.shape or (first.points != other.points).any()


def test_a_goal_is_reached_by_the_shortest_way():
    router = load_router("tiny")
    start = route_list("tiny")[0]
    pose = (*start.points[0], start.headings[0])
    route = router.plan(pose, tuple(start.points[60]))
    assert np.hypot(*(route.points[-1] - start.points[60])) < 1.0
    assert np.hypot(*(route.points[0] - start.points[0])) < 1.0
    assert 50 < route.length_m < 65


def test_plans_lead_anywhere_and_can_be_driven():
    router, rng = load_router("stage"), np.random.default_rng(0)
    town = TownMap.from_opendrive(load_town("stage").xodr_text, "stage")
    fixed = route_list("stage")
    for number in range(30):
        one, two = fixed[number % len(fixed)], fixed[int(rng.integers(len(fixed)))]
        at, to = int(rng.integers(len(one))), int(rng.integers(len(two)))
        goal = two.points[to]
        if np.hypot(*(goal - one.points[at])) < 5.0:
            continue
        route = router.plan((*one.points[at], one.headings[at]), (goal[0], goal[1]))
        assert np.hypot(*(route.points[-1] - goal)) < 2.0
        assert town.drivable(route.points).mean() > 0.99
        assert np.abs(np.diff(route.headings)).max() < 0.8


def test_a_plan_changes_lanes_smoothly():
    """From the right lane of the avenue (y = -5.25) to the left one (y = -1.75)."""
    route = load_router("stage").plan((-250.0, -5.25, 0.0), (-100.0, -1.75))
    assert 145 < route.length_m < 155
    assert np.hypot(*(route.points[-1] - (-100.0, -1.75))) < 1.0
    assert np.abs(np.diff(route.headings)).max() < 0.05
    moving = (route.points[:, 1] > -5.1) & (route.points[:, 1] < -1.9)
    assert moving.sum() >= 20


def test_lanes_are_changed_only_to_a_lane_beside():
    x = np.arange(100.0)
    here, beside, far = (np.stack([x, np.full(100, y)], 1) for y in (0.0, 3.5, 9.0))
    moved = change_lane(here, beside, 20)
    assert (moved[:20, 1] == 0.0).all() and (moved[20 + LANE_CHANGE_M :, 1] == 3.5).all()
    assert (np.diff(moved[:, 1]) >= 0.0).all()
    assert change_lane(here, far, 20) is None
    assert change_lane(here, beside, 80) is None  # no room left


@pytest.mark.parametrize(
    ("start", "goal", "reason"),
    [
        ((-250.0, -5.25, 0.0), (-100.0, 80.0), "not within 8 m of a lane"),
        ((-250.0, 90.0, 0.0), (-100.0, -1.75), "direction of the start"),
        ((-250.0, -5.25, 0.0), (-249.0, -5.25), "reached already"),
        ((math.nan, -5.25, 0.0), (-249.0, -5.25), "finite"),
        ((-250.0, -5.25, 0.0), (math.inf, -5.25), "finite"),
    ],
)
def test_impossible_goals_are_refused_with_a_reason(start, goal, reason):
    with pytest.raises(UserError, match=reason):
        load_router("stage").plan(start, goal)


def test_a_goal_without_a_way_is_refused():
    router = Router(carla.Map("two", TWO_STREETS % (street(1, 0.0) + street(3, 50.0))))
    with pytest.raises(UserError, match="no way leads"):
        router.plan((10.0, -1.75, 0.0), (50.0, 48.25))
    assert router.plan((10.0, -1.75, 0.0), (50.0, -1.75)).length_m == 40


def test_no_route_uses_a_closed_road():
    town = carla.Map("tiny", load_town("tiny").xodr_text)
    start, goal = (2.0, 40.0, math.pi / 2), (135.0, 93.0)
    both = [town.get_waypoint(carla.Location(135.0, -y, 0.0)).road_id for y in (93.0, 90.0)]
    assert len(set(both)) == 2
    assert Router(town).plan(start, goal).length_m > 100
    with pytest.raises(UserError, match="not within 8 m"):
        Router(town, frozenset(both)).plan(start, goal)
