"""What stands beside the road: where it is, and that it is out of the way."""

from __future__ import annotations

import numpy as np
import pytest

from wm_perception.frame import LightBox
from wm_perception.semantics import SemanticTag
from wm_perception.town_map import TownMap
from wm_sim.routes import route_list
from wm_sim.scenery import POLE_ASIDE_M, Scenery, Sign, light_post
from wm_sim.simulator import Simulator
from wm_sim.town_files import load_town


@pytest.fixture(scope="module")
def town():
    return TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")


@pytest.fixture(scope="module")
def scenery(town):
    return Scenery(town)


@pytest.fixture(scope="module")
def light(town):
    route = route_list("tiny")[0]
    x, y = map(float, route.points[10])
    return LightBox(7, (x, y), float(route.headings[10]), 4.0, 3.5)


def test_the_same_town_has_the_same_scenery_and_another_town_another(town, scenery):
    again = Scenery(town)
    np.testing.assert_array_equal(scenery.boxes, again.boxes)
    renamed = TownMap.from_opendrive(town.opendrive, "other")
    assert not np.array_equal(scenery.buildings, Scenery(renamed).buildings)


def test_nothing_that_stands_is_on_the_road(town, scenery, light):
    boxes = scenery.with_lights((light,)).boxes[scenery.with_lights((light,)).standing]
    corners = 0.5 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    cos, sin = np.cos(boxes[:, 6, None]), np.sin(boxes[:, 6, None])
    dx, dy = (corners * boxes[:, None, 3:5]).transpose(2, 0, 1)
    points = boxes[:, None, :2] + np.stack([cos * dx - sin * dy, sin * dx + cos * dy], -1)
    assert len(boxes) > 50
    assert not town.drivable(points.reshape(-1, 2)).any()


def test_buildings_and_trunks_stand_and_crowns_do_not(scenery):
    buildings = scenery.tags == SemanticTag.BUILDING
    assert scenery.standing[buildings].all()
    plants = scenery.standing[scenery.tags == SemanticTag.VEGETATION]
    assert plants.sum() == len(scenery.trees) == (~plants).sum()


def test_a_light_has_a_pole_beside_its_lane_and_a_head_above_it(scenery, light):
    lit = scenery.with_lights((light,))
    tags = lit.tags[len(scenery.boxes) :]
    assert tags.tolist() == [SemanticTag.POLE, SemanticTag.POLE, SemanticTag.TRAFFIC_LIGHT]
    pole, arm, head = lit.boxes[len(scenery.boxes) :]
    post = lit.posts[light.id]
    along = np.array([np.cos(light.yaw), np.sin(light.yaw)])
    right = np.array([along[1], -along[0]])
    assert (pole[:2] - post.line) @ right == pytest.approx(POLE_ASIDE_M)
    assert (head[:2] - post.line) @ right == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(arm[:2], (pole[:2] + head[:2]) / 2)
    assert head[2] - head[5] / 2 > 4.0  # a lorry passes underneath


def test_a_pole_moves_aside_where_its_place_is_road(town, light):
    def wide(points):
        """Road as far as 5 m to the right of the lane's middle."""
        right = np.array([np.sin(light.yaw), -np.cos(light.yaw)])
        return (np.asarray(points) - light.center) @ right < 5.0

    class WideTown:
        drivable = staticmethod(wide)

    post = light_post(light, WideTown())
    right = np.array([np.sin(light.yaw), -np.cos(light.yaw)])
    assert (np.array(post.pole) - light.center) @ right > 5.0


def test_the_same_lights_cost_nothing_and_other_lights_replace_them(scenery, light):
    lights = (light,)
    lit = scenery.with_lights(lights)
    assert lit.with_lights(lights) is lit
    assert len(lit.with_lights(()).boxes) == len(scenery.boxes)


def test_near_finds_all_that_reaches_into_the_circle(scenery):
    x, y, _, length, width = scenery.boxes[0, :5]
    edge = x + np.hypot(length, width) / 2
    assert 0 in scenery.near(edge + 4.0, y, 5.0)
    assert 0 not in scenery.near(edge + 6.0, y, 5.0)


def test_a_sign_is_a_post_and_a_plate(town, scenery):
    signed = Scenery(town, signs=(Sign(1.0, 2.0, 0.5, "stop"),))
    post, plate = signed.boxes[len(scenery.boxes) :]
    assert signed.tags[-2:].tolist() == [SemanticTag.POLE, SemanticTag.TRAFFIC_SIGN]
    assert post[2] - post[5] / 2 == 0.0 and plate[2] > 2.0


def test_signs_of_the_map_stand_in_the_simulator():
    with Simulator("stage") as simulator:
        kinds = {sign.kind for sign in simulator.scenery.signs}
        assert kinds == {"stop", "speed_limit"}
        assert (simulator.scenery.tags == SemanticTag.TRAFFIC_SIGN).sum() > 10
