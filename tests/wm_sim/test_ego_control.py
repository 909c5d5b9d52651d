"""The ego in the simulator: put elsewhere, pushed, in reverse, in the rain, on autopilot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drives import said

from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_perception.route import Route
from wm_sim.weather import weather_preset
from wm_sim.world import World


def test_the_ego_can_be_put_elsewhere_and_pushed(tiny):
    scene = tiny.start_route(0)
    x, y = scene.route.sample(np.array(40.0)).tolist()
    tiny.teleport(x, y, 7.0)
    frame = tiny.step(Command())
    assert (frame.ego.x, frame.ego.y) == pytest.approx((x, y))
    assert frame.ego.yaw == pytest.approx(7.0 - 2 * math.pi)
    assert not frame.crossed_markings
    tiny.push(-2.0, 0.5, 1.5)
    ego = tiny.step(Command()).ego
    assert ego.speed_mps == pytest.approx(-2.0, abs=0.1)
    assert ego.yaw_rate_radps > 0.0
    for pose in ((math.nan, 0.0, 0.0), (1e30, 0.0, 0.0), (0.0, 0.0, math.inf)):
        with pytest.raises(UserError, match="finite number|outside the town"):
            tiny.teleport(*pose)
    with pytest.raises(UserError, match="finite number"):
        tiny.push(math.nan, 0.0, 0.0)
    with pytest.raises(UserError, match="within 100 m/s"):
        tiny.push(1e30, 0.0, 0.0)
    assert tiny.step(Command()).ego.speed_mps == pytest.approx(-1.9, abs=0.1)


def test_the_gear_is_echoed_and_drives_backwards(tiny):
    tiny.start_route(0)
    for _ in range(60):
        frame = tiny.step(Command(0.0, 1.0, reverse=True))
    assert frame.ego.command.reverse
    assert -5.1 < frame.ego.speed_mps < -4.5


def test_rain_makes_the_brakes_weaker(tiny):
    def braking_way(weather: str) -> float:
        scene = tiny.start_route(0)
        tiny.start(scene.route, start_s=15.0, speed_mps=10.0, world=World(weather=weather))
        start = tiny.frame().ego
        for _ in range(25):
            ego = tiny.step(Command(0.0, -1.0)).ego
        return math.hypot(ego.x - start.x, ego.y - start.y)

    assert braking_way("rain") > 1.05 * braking_way("day")
    dry = braking_way("day")
    scene = tiny.start_route(0)
    tiny.start(scene.route, start_s=15.0, speed_mps=10.0)
    tiny.set_weather(weather_preset("rain"))
    start = tiny.frame().ego
    for _ in range(25):
        ego = tiny.step(Command(0.0, -1.0)).ego
    assert math.hypot(ego.x - start.x, ego.y - start.y) > 1.05 * dry
    assert tiny.weather == weather_preset("rain") == tiny.view().weather


def test_the_view_measures_acceleration_in_body_axes(tiny):
    scene = tiny.start_route(0)
    tiny.start(scene.route, start_s=15.0, speed_mps=8.0)
    assert not tiny.view().accel_xy.any()
    tiny.step(Command(0.0, -0.5))
    assert tiny.view().accel_xy == pytest.approx([-4.3, 0.0], abs=0.3)
    tiny.start(scene.route, start_s=15.0, speed_mps=8.0)
    for _ in range(4):
        tiny.step(Command(0.15, 0.05))
    view = tiny.view()
    assert view.accel_xy[1] == pytest.approx(view.ego.speed_mps * view.ego.yaw_rate_radps, rel=0.2)
    assert view.accel_xy[1] > 1.0
    assert view.objects is tiny.frame().objects


def test_autopilot_drives_and_shows_its_command(tiny):
    scene = tiny.start_route(0)
    tiny.autopilot = True
    for _ in range(60):
        frame = tiny.step(Command(0.0, -1.0))
    tiny.autopilot = False
    assert scene.route.nearest_index(frame.ego.x, frame.ego.y) > 15
    assert frame.ego.command != Command(0.0, -1.0)


def test_a_new_route_in_the_running_world(tiny):
    first = tiny.start_route(0, traffic=5)
    before = said(tiny.frame())
    other = tiny.reroute(Route(first.route.points[::-1]))
    assert tiny.scene is other and other.lights == first.lights
    assert said(tiny.frame()) == before
