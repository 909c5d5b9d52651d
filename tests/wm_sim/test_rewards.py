"""Reward terms one by one, the presets' numbers, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState, LightBox, LightState, Objects, SceneFrame
from wm_perception.observation import Observer
from wm_perception.scene import Scene
from wm_perception.town_map import TownMap
from wm_sim.rewards import PRESETS, TERMS, Step, reward_config
from wm_sim.routes import route_list
from wm_sim.town_files import load_town
from wm_training import labels

START = 40.0  # m along the route; the next 40 m of it are straight


@pytest.fixture(scope="module")
def town():
    return TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")


@pytest.fixture(scope="module")
def route():
    def bend(route):
        ahead = route.headings[int(START) : int(START) + 40]
        return float(np.ptp(ahead))

    return min(route_list("tiny"), key=bend)


@pytest.fixture(scope="module")
def make(town, route):
    """A step along the route: where it starts and ends, and what is different from the usual."""
    line = route.sample(np.array(START + 20.0))
    heading = float(route.headings[int(START) + 20])
    half = np.array([math.cos(heading), math.sin(heading)]) * 2.0
    light = LightBox(3, tuple((line - half).tolist()), heading, 4.0, 3.5)
    scene = Scene(town, route, (light,))

    def frame(number, s, lateral=0.0, turn=0.0, speed=5.0, state=LightState.GREEN, **rest):
        heading = float(route.headings[int(s)])
        x, y = route.sample(np.array(s)) + lateral * np.array(
            [-math.sin(heading), math.cos(heading)]
        )
        ego = EgoState(float(x), float(y), heading + turn, speed)
        return SceneFrame(number * 100_000_000, ego, light_states={3: state}, **rest)

    def make(s=START, gained=0.5, speed_before=5.0, state=LightState.GREEN, lateral_before=0.0,
             **after):  # fmt: skip
        observer = Observer(scene)
        first = frame(1, s, speed=speed_before, state=state, lateral=lateral_before)
        second = frame(2, s + gained, **after)
        seen = observer.observe(first), observer.observe(second)
        return Step(scene, first, second, *seen)

    return make


def test_progress_and_waypoints(make):
    assert TERMS["progress"](make(gained=0.7)) == pytest.approx(0.7, abs=0.02)
    assert TERMS["progress"](make(gained=-0.3)) == pytest.approx(-0.3, abs=0.02)
    assert TERMS["waypoint"](make(s=START + 0.7)) == 1.0
    assert TERMS["waypoint"](make(s=START + 0.1)) == 0.0


def test_a_jump_is_no_progress(make):
    assert TERMS["progress"](make(gained=30.0)) == 0.0
    assert TERMS["red_light"](make(gained=30.0, state=LightState.RED)) == 0.0


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_distance_from_the_route(make, side):
    step = make(lateral=1.2 * side)
    assert TERMS["lateral"](step) == pytest.approx(1.2, abs=0.02)
    assert TERMS["off_path"](step) == pytest.approx(0.7, abs=0.02)
    assert TERMS["in_lane"](step) == 0.0
    assert TERMS["in_lane"](make(lateral=0.25 * side)) == pytest.approx(0.75, abs=0.02)
    assert TERMS["off_path"](make(lateral=0.3 * side)) == 0.0


def test_speed(make):
    assert TERMS["speed"](make(speed=2.0)) == 0.5
    assert TERMS["speed"](make(speed=9.0)) == 1.0
    along = TERMS["speed_along"]
    assert along(make(speed=4.0)) == pytest.approx(4.0, abs=1e-3)
    assert along(make(speed=6.0)) == pytest.approx(2.0, abs=1e-3)
    assert along(make(speed=0.0)) == pytest.approx(0.0, abs=1e-3)
    slanted = make(speed=4.0, turn=0.1, lateral=0.5)
    expected = 4.0 - abs(4.0 * math.cos(0.1) - 4.0) - 2.0 * 4.0 * math.sin(0.1)
    assert along(slanted) == pytest.approx(expected, abs=0.05)
    assert along(make(speed=4.0, turn=0.5, lateral=0.5)) == pytest.approx(
        4.0 - abs(4.0 * math.cos(0.5) - 4.0) - 1.0, abs=0.02
    )


def test_contacts(make):
    hit = make(speed_before=7.0, speed=0.0, collided=True)
    assert TERMS["collision"](hit) == 1.0 and TERMS["collision_speed"](hit) == 7.0
    assert TERMS["collision"](make()) == TERMS["collision_speed"](make()) == 0.0


def test_somebody_near_is_no_contact_yet(make, route):
    s = START + 0.5
    heading = float(route.headings[int(s)])

    def near(gap):
        x, y = route.sample(np.array(s + 4.5 + gap))
        car = Objects(
            np.array([1]), np.array([[x, y, heading]]), np.zeros((1, 2)), np.array([[4.5, 1.85]])
        )
        return make(objects=car)

    assert TERMS["proximity"](near(1.0)) == 1.0
    assert TERMS["proximity"](near(2.0)) == 0.0
    step = near(0.2)
    assert TERMS["proximity"](replace(step, after=replace(step.after, collided=True))) == 0.0


def test_leaving_the_road(make):
    right = -5.5  # the lane's centre is 1.75 m from the kerb
    out = make(lateral=right)
    assert TERMS["off_road"](out) == TERMS["left_road"](out) == 1.0
    still = make(lateral=right, lateral_before=right)
    assert TERMS["off_road"](still) == 1.0 and TERMS["left_road"](still) == 0.0
    assert TERMS["off_road"](make()) == 0.0


def test_lights(make):
    front = START + 20.0 - 2.25  # of the centre when the bumper is at the line
    ran = make(s=front - 0.2, state=LightState.RED)
    passed = make(s=front - 0.2, state=LightState.GREEN)
    assert (TERMS["red_light"](ran), TERMS["light_obeyed"](ran)) == (1.0, 0.0)
    assert (TERMS["red_light"](passed), TERMS["light_obeyed"](passed)) == (0.0, 1.0)
    before = make(s=front - 3.0, state=LightState.RED)
    assert TERMS["red_light"](before) == TERMS["light_obeyed"](before) == 0.0


def test_lines_and_the_end(make, route):
    assert TERMS["solid_line"](make(crossed_markings=(1, 2, 10))) == 1.0
    end = make(s=route.length_m - 5.3)
    assert TERMS["arrived"](end) == 1.0
    assert TERMS["arrived"](make(s=route.length_m - 4.5)) == 0.0  # it has been before
    assert TERMS["time"](make()) == 1.0


def test_the_default_is_the_reward_the_world_model_learns(make):
    config = reward_config("default")
    front = START + 20.0 - 2.25
    steps = [
        make(),
        make(lateral=1.3),
        make(lateral=-4.5),
        make(speed=0.0, collided=True),
        make(s=front - 0.2, state=LightState.RED),
    ]
    for step in steps:
        expected = labels.reward(
            TERMS["progress"](step),
            step.seen.on_route.lateral,
            step.after.collided,
            step.scene.town.is_off_road(step.after.ego),
            bool(TERMS["red_light"](step)),
        )
        assert sum(config.evaluate(step).values()) == pytest.approx(expected)


def test_cardreamers_numbers(make):
    config = reward_config("cardreamer")
    cruise = config.evaluate(make(s=START + 0.8, speed=4.0))
    assert cruise == pytest.approx(
        {"waypoint": 2.0, "speed_along": 2.0, "collision_speed": 0.0, "off_path": 0.0,
         "arrived": 0.0}, abs=1e-3,
    )  # fmt: skip
    crash = config.evaluate(make(speed_before=5.0, speed=5.0, collided=True, lateral=1.5))
    assert crash["collision_speed"] == -150.0
    assert crash["off_path"] == pytest.approx(-3.0, abs=0.05)


def test_the_curriculum_weighs_safety_most():
    weights = PRESETS["curriculum"].weights
    assert weights["collision"] == pytest.approx(-400.0)
    assert weights["left_road"] == pytest.approx(-320.0)
    assert weights["proximity"] == pytest.approx(-6.0)
    assert weights["arrived"] == pytest.approx(90.0)
    assert weights["light_obeyed"] == pytest.approx(2.25)


def test_a_table_of_weights_and_what_is_refused(make):
    assert reward_config({"progress": 2.0}).evaluate(make(gained=0.5)) == {
        "progress": pytest.approx(1.0, abs=0.03)
    }
    with pytest.raises(UserError, match="unknown reward 'fame'; known: default"):
        reward_config("fame")
    with pytest.raises(UserError, match="unknown term 'fame'; known terms: progress"):
        reward_config({"fame": 1.0})
    with pytest.raises(UserError, match="must be finite"):
        reward_config({"progress": math.nan})
