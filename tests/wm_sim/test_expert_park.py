"""Backing into bays."""

from __future__ import annotations

import numpy as np
import pytest
from expert_roads import User, objects_at, street

from wm_perception.conventions import to_ego
from wm_perception.frame import SceneFrame
from wm_perception.scene import touches
from wm_sim.expert import Expert
from wm_sim.expert_park import RADIUS_M, reverse_path, shift_length
from wm_sim.vehicle import Vehicle, VehicleState


def test_the_path_leads_to_the_goal_in_two_arcs_that_the_car_can_steer():
    path = reverse_path(9.0, 2.6)
    assert path[0] == pytest.approx([9.0, 2.6], abs=0.02)
    assert path[-1] == pytest.approx([0.0, 0.0], abs=0.02)
    step = np.diff(path, axis=0)
    heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    length = np.hypot(*step.T)
    curvature = np.abs(np.diff(heading)) / length[1:]
    assert curvature.max() < 1.25 / RADIUS_M
    assert shift_length(0.0) == 0.0
    assert np.abs(reverse_path(9.0, 0.0)[:, 1]).max() == 0.0


@pytest.mark.parametrize(
    ("bay", "start_x"), [((40.0, -2.6), 10.0), ((40.0, 2.8), 10.0), ((20.0, 0.0), 30.0)]
)
def test_stands_in_the_bay(bay, start_x):
    scene, expert = street(), Expert()
    vehicle = Vehicle(VehicleState(start_x, 0.0, speed=5.0))
    expert.reset(scene)
    expert.park(np.array([*bay, 0.0]))
    for i in range(600):
        vehicle.step(expert.drive(SceneFrame(i * 100_000_000, vehicle.ego())), 0.1)
    ego = vehicle.ego()
    along, across = to_ego(np.array([ego.x, ego.y]), np.array([*bay, 0.0]))
    assert abs(ego.speed_mps) < 0.05
    assert abs(along) < 0.4
    assert abs(across) < 0.35
    assert abs(ego.yaw) < 0.12


def test_waits_for_somebody_behind():
    behind = objects_at([User(22.0, 0.0)], 0.0)
    vehicle, expert = Vehicle(VehicleState(30.0, 0.0)), Expert()
    expert.reset(street())
    expert.park(np.array([18.0, 0.0, 0.0]))
    for i in range(150):
        frame = SceneFrame(i * 100_000_000, vehicle.ego(), behind)
        vehicle.step(expert.drive(frame), 0.1)
        assert not touches(vehicle.ego(), behind)
    assert vehicle.ego().x < 28.5, "it begins"


def test_a_new_route_forgets_the_bay():
    scene, expert = street(), Expert()
    expert.reset(scene)
    expert.park(np.array([3.0, 0.0, 0.0]))
    expert.reset(scene)
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=5.0))
    for i in range(60):
        vehicle.step(expert.drive(SceneFrame(i * 100_000_000, vehicle.ego())), 0.1)
    assert vehicle.ego().x > 30.0
