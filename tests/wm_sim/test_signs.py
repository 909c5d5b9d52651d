"""Stop signs and speed limits: read from OpenDRIVE, and written into it."""

from __future__ import annotations

import math
import re

import carla
import numpy as np
import pytest

from wm_perception.town_map import TownMap
from wm_sim.routes import route_list
from wm_sim.signs import limit_at, sign_posts, speed_limits, stop_signs
from wm_sim.town_files import load_town
from wm_sim.town_signs import with_signs

ROAD = """<OpenDRIVE><header revMajor="1" revMinor="4"/>
<road name="" length="200" id="1" junction="-1"><link/>{kind}<planView>
<geometry s="0" x="0" y="0" hdg="0" length="200"><line/></geometry></planView>
<elevationProfile/><lateralProfile/><lanes><laneSection s="0">
<left><lane id="1" type="driving"><link/>
<width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></left>
<center><lane id="0" type="none"/></center>
<right><lane id="-1" type="driving"><link/>
<width sOffset="0" a="3.5" b="0" c="0" d="0"/>{lane}</lane>
</right></laneSection></lanes><signals>{signals}</signals></road></OpenDRIVE>"""
SIGN = (
    '<signal id="{id}" s="{s}" t="{t}" zOffset="2" orientation="{side}" dynamic="no" '
    'country="OpenDRIVE" type="{type}" subtype="-1" value="{value}" unit="{unit}" name="" '
    'hOffset="0" roll="0" pitch="0" height="0.7" width="0.7"/>'
)


def road(signals: str = "", kind: str = "", lane: str = "") -> TownMap:
    """A straight road to the east, one lane in each direction."""
    text = ROAD.format(signals=signals, kind=kind, lane=lane)
    return TownMap.from_opendrive(text, "road")


def sign(number, s, side, type_, value="", unit="km/h", t=-5.0) -> str:
    return SIGN.format(id=number, s=s, t=t, side=side, type=type_, value=value, unit=unit)


@pytest.fixture(scope="module")
def stage() -> TownMap:
    return TownMap.from_opendrive(load_town("stage").xodr_text, "stage")


def test_the_stop_signs_of_the_stage(stage):
    signs = stop_signs(stage)
    assert len(signs) == 3  # from the north and the south at P, from the south at K
    for found in signs:
        x, y = found.stop
        assert stage.drivable(np.array([found.stop])).all()
        assert not stage.drivable(np.array([[found.x, found.y]])).any()
        # on the right-hand side, in line with the stop
        ahead = math.cos(found.yaw) * (found.x - x) + math.sin(found.yaw) * (found.y - y)
        aside = -math.sin(found.yaw) * (found.x - x) + math.cos(found.yaw) * (found.y - y)
        assert abs(ahead) < 0.1 and -3.5 < aside < -2.0
        # the junction begins behind it
        step = np.array([math.cos(found.yaw), math.sin(found.yaw)])
        before, behind = (np.array(found.stop) + k * step for k in (-1.0, 1.0))
        assert not waypoint(stage, before).is_junction and waypoint(stage, behind).is_junction
        assert waypoint(stage, before).road_id == found.road


def waypoint(town: TownMap, place):
    return town.carla_map.get_waypoint(carla.Location(float(place[0]), float(-place[1]), 0.0))


def test_the_speed_limits_of_the_stage(stage):
    assert {round(3.6 * s.limit_mps) for s in speed_limits(stage)} == {30, 40, 50}
    assert limit_at(stage, -100.0, -1.75, 0.0) == pytest.approx(50 / 3.6)  # avenue
    assert limit_at(stage, -400.0, 148.25, 0.0) == pytest.approx(30 / 3.6, abs=0.01)
    assert limit_at(stage, -300.0, 60.0, 0.0) is None  # off the road


def test_the_limit_of_the_approach_holds_inside_a_junction(stage):
    """OpenDRIVE gives lanes inside junctions the speed of the turn, which is no limit."""
    for route in route_list("stage")[:6]:
        limits = {limit_at(stage, *p, h) for p, h in zip(route.points, route.headings, strict=True)}
        assert limits <= {limit for limit in limits if limit is not None}
        assert all(min(abs(3.6 * v - kmh) for kmh in (30, 40, 50)) < 0.1 for v in limits)


def test_posts_stand_once_each(stage):
    posts = sign_posts(stage)
    assert sum(post.kind == "stop" for post in posts) == 3
    assert {post.value for post in posts if post.kind == "speed_limit"} == {30, 40, 50}
    assert len({(post.x, post.y) for post in posts}) == len(posts)


def test_shipped_towns_of_the_experiments_have_no_signs_but_a_limit():
    town = TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")
    assert stop_signs(town) == () and speed_limits(town) == ()
    assert limit_at(town, 93.0, 45.0, math.pi / 2) == pytest.approx(11.0)


def test_a_sign_holds_behind_it_and_only_in_its_direction():
    town = road(sign(1, 80, "+", "274", 30) + sign(2, 120, "-", "274", 50, t=5.0))
    assert limit_at(town, 40.0, -1.75, 0.0) is None
    assert limit_at(town, 90.0, -1.75, 0.0) == pytest.approx(30 / 3.6)
    assert limit_at(town, 110.0, 1.75, math.pi) == pytest.approx(50 / 3.6)
    assert limit_at(town, 150.0, 1.75, math.pi) is None
    # overtaking on the other side, the own direction counts
    assert limit_at(town, 110.0, 1.75, 0.0) == pytest.approx(30 / 3.6)


@pytest.mark.parametrize(
    ("kind", "lane", "limit"),
    [
        ('<type s="0" type="town"><speed max="25" unit="mph"/></type>', "", 11.176),
        ('<type s="0" type="town"><speed max="no limit"/></type>', "", None),
        ("", '<speed sOffset="0" max="50" unit="km/h"/>', 13.889),
        ("", '<speed sOffset="0" max="8"/>', 8.0),
        ('<type s="0" type="town"><speed max="20"/></type>', '<speed sOffset="0" max="8"/>', 8.0),
        ("", '<speed sOffset="0" max="nan"/>', None),
        ("", "", None),
    ],
)
def test_limits_of_lanes_and_roads(kind, lane, limit):
    found = limit_at(road(kind=kind, lane=lane), 50.0, -1.75, 0.0)
    assert found == (limit if limit is None else pytest.approx(limit, abs=0.001))


def test_a_stop_sign_near_the_end_stops_at_the_end():
    near, far = (stop_signs(road(sign(1, s, "+", "206")))[0] for s in (195, 100))
    assert near.stop == pytest.approx((200.0, -1.75), abs=0.1)
    assert far.stop == pytest.approx((100.0, -1.75), abs=0.1)
    (oncoming,) = stop_signs(road(sign(1, 5, "-", "206", t=5.0)))
    assert oncoming.stop == pytest.approx((0.0, 1.75), abs=0.1)
    assert abs(oncoming.yaw) == pytest.approx(math.pi)


def test_signs_are_written_once_and_can_be_read_by_carla(stage):
    types = re.findall(r'<signal [^>]*type="(206|274)"', stage.opendrive)
    assert types.count("206") == 3
    assert types.count("274") == len(speed_limits(stage))
    marks = stage.carla_map.get_all_landmarks_of_type("206")
    assert {m.name for m in marks} == {"Stop"} and len(marks) == 3
    assert with_signs(load_town("tiny").xodr_text, []).count('type="206"') == 0
