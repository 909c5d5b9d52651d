"""Where bodies are with respect to the route and to the intended path."""

from __future__ import annotations

import numpy as np
import pytest
from expert_roads import User, objects_at

from wm_perception.frame import ObjectClass
from wm_perception.route import Route
from wm_sim.expert_path import path_around, place


def test_places_a_body_with_its_extent_and_velocity():
    route = Route(np.array([[0.0, 0.0], [0.0, 100.0]]))  # northwards: left is -x
    offset = np.full(len(route), 1.0)
    users = objects_at([User(2.0, 50.0, 0.0, 3.0)], 0.0)
    placed = place(path_around(route, 40.0, offset, 60), users)
    assert placed.s[0] == pytest.approx(50.0)
    assert placed.d[0] == pytest.approx(-2.0)
    assert (placed.rear[0], placed.front[0]) == pytest.approx((50 - 0.925, 50 + 0.925))
    assert (placed.right[0], placed.left[0]) == pytest.approx((-4.25, 0.25))
    assert (placed.right_gap[0], placed.left_gap[0]) == pytest.approx((-5.25, -0.75))
    assert (placed.along[0], placed.across[0]) == pytest.approx((0.0, -3.0), abs=1e-9)
    assert placed.in_corridor()[0]
    assert not placed.in_corridor(0.5)[0]


def test_what_lies_past_the_end_is_not_on_the_path():
    route = Route(np.array([[0.0, 0.0], [60.0, 0.0]]))
    users = objects_at([User(75.0, 0.0), User(58.0, 0.0), User(-20.0, 0.0)], 0.0)
    placed = place(path_around(route, 30.0, np.zeros(len(route)), 60), users)
    assert placed.on.tolist() == [False, True, False]


def test_a_long_body_near_a_bend_back_is_not_spread_over_both_legs():
    turn = np.linspace(0.0, np.pi, 40)
    bend = np.stack([50.0 + 8.0 * np.sin(turn), 8.0 - 8.0 * np.cos(turn)], 1)
    route = Route(np.concatenate([[[0.0, 0.0]], bend, [[0.0, 16.0]]]))
    truck = objects_at([User(30.0, 6.5, np.pi / 2, kind=ObjectClass.TRUCK)], 0.0)
    placed = place(path_around(route, 20.0, np.zeros(len(route)), 60), truck)
    assert placed.front[0] - placed.rear[0] < 60.0
    assert not placed.in_corridor()[0]


def test_a_wider_ego_sees_wider_bodies():
    route = Route(np.array([[0.0, 0.0], [60.0, 0.0]]))
    path = path_around(route, 10.0, np.zeros(len(route)), 60)
    users = objects_at([User(20.0, 2.4)], 0.0)
    assert not place(path, users).in_corridor()[0]
    assert place(path, users, 0.2).in_corridor()[0]
