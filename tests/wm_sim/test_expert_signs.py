"""Stop signs and speed limits along a route."""

from __future__ import annotations

import numpy as np
import pytest
from expert_roads import drive, street

from wm_perception.scene import Scene
from wm_perception.town_map import TownMap
from wm_sim.expert_signs import StopLines, limit_profile, stop_stations
from wm_sim.routes import route_list
from wm_sim.signs import limit_at, stop_signs
from wm_sim.town_files import load_town

STEP_NS = 100_000_000


@pytest.fixture(scope="module")
def stage_map():
    return TownMap.from_opendrive(load_town("stage").xodr_text, "stage")


def test_finds_the_stop_lines_that_lie_on_the_route(stage_map):
    routes = [Scene(stage_map, route) for route in route_list("stage")]
    stations = [(scene, s) for scene in routes for s in stop_stations(scene)]
    assert stations, "some route of this town passes a stop sign"
    lines = np.array([sign.stop for sign in stop_signs(stage_map)])
    for scene, station in stations:
        point = scene.route.sample(np.array(station))
        assert np.hypot(*(lines - point).T).min() < 1.5


def test_limits_are_those_of_the_lanes_along_the_route(stage_map):
    scene = Scene(stage_map, route_list("stage")[0])
    profile = limit_profile(scene)
    assert len(profile) == len(scene.route)
    x, y = scene.route.points[80]
    assert profile[80] == limit_at(stage_map, x, y, float(scene.route.headings[80]))


def test_asks_for_one_full_stop_before_the_line():
    lines = StopLines((40.0,))
    assert lines.limits(20.0, 6.0, 0)
    assert lines.limits(39.2, 0.0, STEP_NS), "it has just come to a stop"
    assert lines.limits(39.2, 0.0, 5 * STEP_NS)
    assert not lines.limits(39.2, 0.0, 11 * STEP_NS)
    assert not lines.limits(39.4, 0.5, 12 * STEP_NS), "once is enough"


def test_rolling_over_the_line_slowly_is_no_stop():
    lines = StopLines((40.0,))
    assert all(lines.limits(39.0 + 0.05 * i, 0.4, i * STEP_NS) for i in range(20))


def test_a_street_without_a_map_has_no_signs():
    assert drive(street(), [], 8.0).speed[-1] > 7.5
