"""The rule-based expert: on hand-built roads, and on routes of the small town."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.frame import LightBox, LightState, Objects, SceneFrame
from wm_perception.route import Route, RouteTracker
from wm_perception.scene import Scene, ran_red_light
from wm_sim.expert import Expert, ExpertStyle
from wm_sim.expert_speed import idm_accel
from wm_sim.vehicle import Vehicle, VehicleState

LIGHT = 7
NOBODY = Objects()


def straight() -> Scene:
    route = Route(np.array([[0.0, 0.0], [150.0, 0.0]]))
    return Scene(SimpleNamespace(), route, (LightBox(LIGHT, (48.0, 0.0), 0.0, 4.0, 3.0),))


def bend(side: float) -> Scene:
    """20 m straight, then a quarter circle of 20 m radius to the left (+1) or right (-1)."""
    turn = np.linspace(0.0, np.pi / 2, 40)
    curve = np.stack([20.0 + 20.0 * np.sin(turn), side * 20.0 * (1.0 - np.cos(turn))], 1)
    return Scene(SimpleNamespace(), Route(np.concatenate([[[0.0, 0.0]], curve])))


def car_at(x: float, speed: float = 0.0) -> Objects:
    return Objects(
        np.array([1]), np.array([[x, 0.0, 0.0]]), np.array([[speed, 0.0]]), np.array([[4.5, 1.85]])
    )


def drive(scene, seconds: float, speed=7.0, objects=NOBODY, light=LightState.GREEN, style=None):
    """Poses, speeds and commands of a drive from the route's start."""
    expert, vehicle = Expert(style), Vehicle(VehicleState(0.0, 0.0, speed=speed))
    expert.reset(scene)
    egos, commands = [], []
    for i in range(round(seconds * 10)):
        egos.append(vehicle.ego())
        frame = SceneFrame(i * 100_000_000, egos[-1], objects, {LIGHT: light})
        commands.append(expert.drive(frame))
        vehicle.step(commands[-1], 0.1)
    return egos, commands


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_steers_into_a_bend_and_stays_near_its_middle(side):
    scene = bend(side)
    egos, commands = drive(scene, 7.0)
    assert side * sum(command.steer for command in commands) > 3.0
    tracker = RouteTracker(scene.route)
    laterals = [tracker.update(ego.pose).lateral for ego in egos]
    assert np.abs(laterals).max() < 0.8
    assert side * egos[-1].y > 10.0
    assert min(ego.speed_mps for ego in egos) < 6.5, "slower than on the straight"


def test_keeps_straight_and_reaches_its_cruising_speed():
    egos, commands = drive(straight(), 12.0, speed=0.0)
    assert egos[-1].speed_mps == pytest.approx(8.3, abs=0.5)
    assert np.abs([command.steer for command in commands]).max() < 0.02


def test_stops_behind_a_standing_car():
    # Red, so that it is a queue: anything else would be passed after a while.
    egos, _ = drive(straight(), 15.0, objects=car_at(40.0), light=LightState.RED)
    assert abs(egos[-1].speed_mps) < 0.3
    gap = 40.0 - egos[-1].x - 4.5
    assert 0.5 < gap < 6.0


def test_follows_a_slower_car_at_its_speed():
    expert, vehicle = Expert(), Vehicle(VehicleState(0.0, 0.0, speed=8.0))
    scene = straight()
    expert.reset(scene)
    leader_x = 25.0
    for i in range(150):
        frame = SceneFrame(i * 100_000_000, vehicle.ego(), car_at(leader_x, 4.0))
        vehicle.step(expert.drive(frame), 0.1)
        leader_x += 0.4
    assert vehicle.ego().speed_mps == pytest.approx(4.0, abs=0.7)
    assert 4.0 < leader_x - vehicle.ego().x - 4.5 < 14.0


@pytest.mark.parametrize("light", [LightState.RED, LightState.YELLOW])
def test_stops_before_a_red_or_yellow_light(light):
    egos, _ = drive(straight(), 15.0, light=light)
    front = egos[-1].x + egos[-1].length / 2
    assert abs(egos[-1].speed_mps) < 0.3
    assert 46.0 < front < 50.0


def test_passes_a_light_that_turns_too_late():
    expert = Expert()
    expert.reset(straight())
    ego = Vehicle(VehicleState(45.0, 0.0, speed=8.3)).ego()
    late = SceneFrame(0, ego, light_states={LIGHT: LightState.YELLOW})
    assert expert.drive(late).accel > -0.2
    early = replace(late, ego=replace(ego, x=30.0))
    expert.reset(straight())
    assert expert.drive(early).accel < -0.3


def test_heeds_what_its_style_says():
    blind = ExpertStyle(heeds_lights=False, heeds_traffic=False)
    egos, _ = drive(straight(), 10.0, objects=car_at(40.0), light=LightState.RED, style=blind)
    assert egos[-1].x > 60.0
    egos, _ = drive(straight(), 8.0, style=ExpertStyle(offset_m=1.0, cruise_mps=5.0))
    assert egos[-1].y == pytest.approx(1.0, abs=0.15)
    assert egos[-1].speed_mps == pytest.approx(5.0, abs=0.4)


def test_the_nearer_the_leader_the_harder_the_brake():
    accels = [idm_accel(8.0, 8.3, gap, 8.0) for gap in (100.0, 30.0, 15.0, 5.0)]
    assert all(a > b for a, b in zip(accels, accels[1:], strict=False))
    assert idm_accel(0.0, 8.3, np.inf, 0.0) == pytest.approx(2.0)


@pytest.mark.parametrize("route", [0, 1])
def test_drives_a_route_through_traffic_without_a_scratch(tiny, route):
    scene = tiny.start_route(route, seed=0, traffic=12)
    expert, tracker = Expert(), RouteTracker(scene.route)
    expert.reset(scene)
    frame = tiny.frame()
    s = tracker.update(frame.ego.pose).s
    for _ in range(2000):
        before, s_before = frame, s
        frame = tiny.step(expert.drive(before))
        s = tracker.update(frame.ego.pose).s
        assert not frame.collided
        assert not ran_red_light(scene, before, s_before, s)
        assert not scene.town.is_off_road(frame.ego)
        if s > scene.route.length_m - 5.0:
            return
    pytest.fail(f"only {s:.0f} of {scene.route.length_m:.0f} m after 200 s")
