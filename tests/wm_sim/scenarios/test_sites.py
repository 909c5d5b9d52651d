"""Sites on routes of real towns have what was asked for."""

from __future__ import annotations

import carla
import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_sim.scenarios.sites import find_site
from wm_sim.scenarios.spec import BendSite, JunctionSite, StraightSite


def junction(**about) -> JunctionSite:
    return JunctionSite(kind="junction", **about)


@pytest.fixture(scope="module")
def scene(towns):
    """Gives the scene of a route."""

    def scene(town: str, route: int, suite: str = "default"):
        return towns(town).start_route(route, suite=suite)

    return scene


def waypoint(scene, station: float):
    x, y = scene.route.points[round(station)]
    return scene.town.carla_map.get_waypoint(carla.Location(float(x), float(-y), 0.0))


def test_a_straight_has_no_junction_and_hardly_a_bend(scene):
    where = scene("train01", 1)
    site = find_site(StraightSite(kind="straight", length_m=70, run_up_m=15), where)
    stretch = np.arange(site.anchor_m - 15, site.anchor_m + 70)
    assert not any(waypoint(where, s).is_junction for s in stretch)
    assert np.ptp(where.route.headings[stretch.astype(int)]) <= 0.6


def test_a_bend_turns_to_its_side(scene):
    where = scene("train01", 7)
    at = round(find_site(BendSite(kind="bend", turn="left"), where).anchor_m)
    assert where.route.headings[at + 25] - where.route.headings[at] > 1.0


def test_a_junction_with_lights_and_a_lane_from_the_left(scene):
    where = scene("train01", 10)
    site = find_site(junction(turn="straight", lights=True, approaches=["left"]), where)
    crossing = site.crossings["left"]
    on_route = where.route.points[round(crossing.route_m)]
    on_path = crossing.path.points[round(crossing.path_m)]
    assert np.hypot(*(on_route - on_path)) < 1.5
    turned = (
        crossing.path.headings[round(crossing.path_m)]
        - where.route.headings[round(crossing.route_m)]
    )
    assert np.sin(turned) == pytest.approx(-1.0, abs=0.2), "it drives to the right"
    assert not crossing.ring and not crossing.merges
    assert any(abs(light.stop_s - site.anchor_m) < 12 for light in where.route_lights)


def test_a_roundabout_is_told_from_a_junction(scene):
    query = junction(approaches=["left"], ring=True, merge=True)
    site = find_site(query, scene("stage", 7, "scenarios"))
    assert site.crossings["left"].ring and site.crossings["left"].merges
    with pytest.raises(UserError, match="no place on this route of 'train01' fits"):
        find_site(query, scene("train01", 10))


def test_a_stop_sign_is_read_from_the_map(scene):
    signed, plain = junction(stop_sign=True), junction(stop_sign=False)
    south = scene("stage", 5, "scenarios")
    assert find_site(signed, south).anchor_m > 60
    with pytest.raises(UserError):
        find_site(plain, south)
    with pytest.raises(UserError):
        find_site(signed, scene("stage", 2, "scenarios"))


def test_a_second_lane_is_asked_for(scene):
    query = StraightSite(kind="straight", length_m=80, beside="left")
    where = scene("stage", 1, "scenarios")
    site = find_site(query, where)
    assert waypoint(where, site.anchor_m).get_left_lane().lane_type == carla.LaneType.Driving
    with pytest.raises(UserError):
        find_site(query, scene("train01", 1))
