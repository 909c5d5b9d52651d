"""Other road users in coordinates of the ego's path."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_perception.frame import Objects
from wm_perception.route import Route
from wm_planner.gate_path import EgoPath, driven_arc, in_the_bend, neighbours

SIZE = (4.5, 1.85)


def cars(*rows: tuple[float, ...]) -> Objects:
    """Cars at (x, y, yaw) with velocity (vx, vy)."""
    table = np.array(rows, float).reshape(-1, 5)
    return Objects(
        np.arange(len(table)), table[:, :3], table[:, 3:], np.tile(SIZE, (len(table), 1))
    )


# ---------------------------------------------------------------------- path


def test_the_driven_arc_is_a_circle_through_the_pose():
    arc = driven_arc(np.array([3.0, 2.0, math.pi / 2]), 10.0, 0.5)  # to the left, radius 20 m
    away = np.hypot(arc[:, 0] + 17.0, arc[:, 1] - 2.0)
    near = slice(0, 70)
    assert away[near] == pytest.approx(np.full(70, 20.0))
    assert arc[10].tolist() == pytest.approx([3.0, 2.0])
    assert arc[11, 1] > 2.9 and arc[9, 1] < 1.1
    assert len(arc) == 80


def test_the_driven_arc_is_straight_at_walking_pace_and_never_winds_up():
    for speed, rate in ((1.0, 0.9), (0.0, 0.9), (-1.0, 0.9)):
        arc = driven_arc(np.zeros(3), speed, rate)
        assert arc[:, 1] == pytest.approx(np.zeros(80)) and arc[-1, 0] == pytest.approx(69.0)
    assert driven_arc(np.zeros(3), 1.01, 0.2)[20, 1] > 5.0
    assert driven_arc(np.zeros(3), -10.0, 1.0)[20, 1] < -4.0  # backwards it turns the other way
    spin = driven_arc(np.zeros(3), 1.1, 50.0)
    assert np.isfinite(spin).all() and (spin[11:, 1] > 0.0).all()
    half_circle = 2.0 / math.pi * np.abs(np.arange(-10.0, 70.0))  # the chord of one of that length
    assert spin == pytest.approx(np.stack([np.zeros(80), half_circle], 1), abs=1e-9)


def test_on_the_route_its_curve_is_the_path():
    angle = np.linspace(0.0, math.pi / 2, 60)
    curve = np.stack([40.0 * np.sin(angle), 40.0 * (1.0 - np.cos(angle))], 1)
    path = EgoPath(Route(curve))
    points = path.points(np.zeros(3), 8.0, 0.0)
    radius = np.hypot(points[10:60, 0], points[10:60, 1] - 40.0)
    assert radius == pytest.approx(np.full(50, 40.0), abs=0.02)
    assert points[:10, 1] == pytest.approx(np.zeros(10), abs=0.2)  # straight on before its begin


@pytest.mark.parametrize(
    "pose, on_route",
    [
        ((20.0, 2.4, 0.0), True),
        ((20.0, -2.4, 0.69), True),
        ((20.0, 2.6, 0.0), False),
        ((20.0, -2.6, 0.0), False),
        ((20.0, 0.0, 0.71), False),
        ((20.0, 0.0, -0.71), False),
    ],
)
def test_off_the_route_the_driven_arc_is_the_path(pose, on_route):
    path = EgoPath(Route(np.array([[0.0, 0.0], [100.0, 0.0]])))
    points = path.points(np.array(pose), 8.0, 0.0)
    assert (np.abs(points[:, 1]).max() < 1e-6) == on_route
    if not on_route:
        assert points == pytest.approx(driven_arc(np.array(pose), 8.0, 0.0))


def test_the_path_follows_the_ego_where_the_route_crosses_itself():
    loop = np.array([[0, 0], [40, 0], [40, 40], [20, 40], [20, -40]], float)
    path = EgoPath(Route(loop))
    for x in range(0, 21, 5):
        points = path.points(np.array([x, 0.0, 0.0]), 8.0, 0.0)
    assert points[20].tolist() == pytest.approx([30.0, 0.0], abs=0.01)


# ---------------------------------------------------------------------- neighbours


def test_neighbours_along_a_straight_path():
    path = driven_arc(np.zeros(3), 0.0, 0.0)
    found = neighbours(
        path,
        np.zeros(3),
        10.0,
        SIZE,
        cars(
            (20.0, 0.0, 0.0, 6.0, 0.0),
            (-8.0, 3.5, 0.0, 12.0, -0.5),
            (10.0, -5.0, math.pi / 2, 0.0, 3.0),
            (2.0, 2.0, 0.0, 9.0, 0.0),
        ),
    )
    assert found.ahead_m == pytest.approx([20.0, -8.0, 10.0, 2.0])
    assert found.gap_m == pytest.approx([15.5, 3.5, 10.0 - 2.25 - 0.925, 0.0])
    assert found.side_m == pytest.approx([0.0, 1.65, 5.0 - 0.925 - 2.25, 0.15])
    assert found.along_mps == pytest.approx([6.0, 12.0, 0.0, 9.0])
    assert found.towards_mps == pytest.approx([0.0, 0.5, 3.0, 0.0])
    assert found.ego_towards_mps == pytest.approx([0.0, 0.0, 0.0, 0.0])


def test_neighbours_when_the_ego_drifts_across_its_path():
    yaw = math.asin(0.1)
    path = driven_arc(np.zeros(3), 0.0, 0.0)
    pose = np.array([0.0, 1.0, yaw])  # off the path to the left, and turned to the left
    found = neighbours(
        path, pose, 10.0, SIZE, cars((20.0, 3.5, yaw, 0.0, 0.0), (20.0, -3.5, 0.0, 0.0, 0.0))
    )
    assert found.ego_towards_mps == pytest.approx([1.0, -1.0])
    half = 0.5 * (1.85 * math.cos(yaw) + 4.5 * math.sin(yaw))
    assert found.side_m == pytest.approx([2.5 - 2 * half, 4.5 - half - 0.925])
    along = 0.5 * (4.5 * math.cos(yaw) + 1.85 * math.sin(yaw))
    assert found.gap_m == pytest.approx([20.0 - 2 * along, 20.0 - along - 2.25])


def test_neighbours_around_a_bend_keep_their_lane():
    angle = np.linspace(0.0, math.pi / 2, 63)
    bend = np.stack([40.0 * np.sin(angle), 40.0 * (1.0 - np.cos(angle))], 1)
    path = EgoPath(Route(bend)).points(np.zeros(3), 8.0, 0.0)
    at = 0.8
    x, y = 36.5 * math.sin(at), 40.0 - 36.5 * math.cos(at)  # 3.5 m to the left, towards us
    oncoming = cars((x, y, at + math.pi, -8.0 * math.cos(at), -8.0 * math.sin(at)))
    found = neighbours(path, np.zeros(3), 8.0, SIZE, oncoming)
    assert found.ahead_m == pytest.approx([32.0], abs=0.3)
    assert found.side_m == pytest.approx([1.65], abs=0.1)
    assert found.along_mps == pytest.approx([-8.0], abs=0.01)
    assert found.towards_mps == pytest.approx([0.0], abs=0.3)


def test_a_little_to_the_left_is_left():
    found = neighbours(
        driven_arc(np.zeros(3), 0.0, 0.0),
        np.zeros(3),
        10.0,
        SIZE,
        cars((20.0, 0.5, 0.0, 0.0, -1.0), (20.0, -0.5, 0.0, 0.0, -1.0)),
    )
    assert found.towards_mps == pytest.approx([1.0, -1.0])


def test_who_touches_the_ego_from_outside_is_in_the_bend_and_who_is_inside_is_not():
    others = cars(*((x, y, 0.0, 0.0, 0.0) for x, y in ((2.4, 0), (-2.4, 0), (0, 1), (2.1, 0.8))))
    pose = np.zeros(3)
    around = neighbours(driven_arc(pose, 0.0, 0.0), pose, 10.0, SIZE, others)
    assert in_the_bend(around, pose, SIZE, others).tolist() == [True, True, True, False]
