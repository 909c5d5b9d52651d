"""Reversing and parking can be done: by a driver who knows the moves by heart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_perception.conventions import to_ego, wrap_angle
from wm_perception.frame import Command
from wm_sim.scenarios.judge import bay_pose
from wm_sim.world import World

FULL_LOCK_RADIUS_M = 3.7  # wheelbase / tan(largest steering angle)


def stop(simulator) -> None:
    while abs(simulator.frame().ego.speed_mps) > 0.02:
        simulator.step(Command(0.0, -0.6))


def forward_to(simulator, station: float) -> None:
    """Along the route at a walking pace, to a stop beside a station."""
    route = simulator.scene.route
    while True:
        ego = simulator.frame().ego
        here = route.project(ego.pose, route.nearest_index(ego.x, ego.y))
        if here.s > station - 0.4:
            break
        x, y = to_ego(route.sample(np.array(here.s + 5.0)), ego.pose)
        steer = float(np.clip(1.2 * math.atan2(y, x), -1, 1))
        simulator.step(Command(steer, 0.3 if ego.speed_mps < 3.0 else -0.1))
    stop(simulator)


def back(simulator, steer: float, until) -> None:
    """Creep backwards with a fixed steering wheel."""
    for _ in range(300):
        ego = simulator.frame().ego
        if until(ego):
            break
        simulator.step(Command(steer, 0.25 if ego.speed_mps > -1.0 else -0.05, reverse=True))
    stop(simulator)


@pytest.fixture
def begin(towns):
    def begin(name: str):
        simulator = towns("train01")
        simulator.start_route(3, world=World(scenario=name))
        scenario = simulator.scenario
        goal = bay_pose(scenario.spec.success.parked, simulator.scene, scenario.site)
        return simulator, scenario, goal

    return begin


def wait(simulator) -> None:
    for _ in range(15):
        simulator.step(Command(0.0, -1.0))


def test_reversing_into_the_space_behind(begin):
    simulator, scenario, goal = begin("reverse")
    forward_to(simulator, scenario.site.anchor_m + 2.0)
    assert scenario.status == "running"
    back(simulator, 0.0, lambda ego: to_ego(ego.pose[:2], goal)[0] < 0.3)
    wait(simulator)
    assert scenario.status == "success", scenario.text


def test_parking_between_two_cars(begin):
    simulator, scenario, goal = begin("parking")
    aside = abs(scenario.spec.success.parked.lateral_m)
    turn = math.acos(1.0 - aside / (2.0 * FULL_LOCK_RADIUS_M))
    along = 2.0 * FULL_LOCK_RADIUS_M * math.sin(turn)
    forward_to(simulator, scenario.site.anchor_m + scenario.spec.success.parked.along_m + along)
    back(simulator, -1.0, lambda ego: wrap_angle(ego.yaw - goal[2]) > turn - 0.1)
    back(simulator, 1.0, lambda ego: wrap_angle(ego.yaw - goal[2]) < 0.05)
    wait(simulator)
    assert scenario.status == "success", scenario.text
