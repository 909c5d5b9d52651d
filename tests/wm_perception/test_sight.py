"""Line of sight on constructed scenes: who hides whom, and what is painted then."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.bev import CHANNELS, planes
from wm_perception.frame import EgoState, ObjectClass, Objects, SceneFrame
from wm_perception.observation import Observer
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_perception.sight import crosses, seen_frame, visible

CAR, LORRY, PERSON = (4.5, 1.9), (8.5, 2.8), (0.6, 0.6)
VEHICLE, MOTION = CHANNELS.index("vehicle"), CHANNELS.index("vehicle_motion")


def frame(*rows, ego=(0.0, 0.0, 0.0)) -> SceneFrame:
    """Rows of (x, y, yaw, (length, width), class), numbered from 1; all drive forwards."""
    x, y, yaw, sizes, kinds = zip(*rows, strict=True) if rows else ([],) * 5
    yaw = np.array(yaw, float)
    objects = Objects(
        np.arange(1, len(rows) + 1),
        np.stack([np.array(x, float), np.array(y, float), yaw], 1),
        3.0 * np.stack([np.cos(yaw), np.sin(yaw)], 1),
        np.array(sizes, float).reshape(-1, 2),
        np.array(kinds, np.uint8),
    )
    return SceneFrame(0, EgoState(*ego, 5.0), objects)


def car(x, y, yaw=0.0):
    return x, y, yaw, CAR, ObjectClass.CAR


def lorry(x, y, yaw=0.0):
    return x, y, yaw, LORRY, ObjectClass.TRUCK


def person(x, y):
    return x, y, 0.0, PERSON, ObjectClass.PEDESTRIAN


def test_on_an_open_road_everything_is_seen():
    assert visible(frame(car(20, 0), car(20, 6), person(-10, 3))).tolist() == [True] * 3
    assert visible(frame()).shape == (0,)


def test_a_lorry_hides_the_child_behind_it_and_not_the_one_beside_it():
    seen = visible(frame(lorry(15, -3), person(20.5, -3.5), person(20.5, 0.5), person(9, -3.5)))
    assert seen.tolist() == [True, False, True, True]


def test_who_steps_out_is_seen_from_the_moment_that_an_edge_shows():
    # The lorry's left edge at y = -1.6 and x = 19.25 hides what lies right of that line.
    at_edge = -1.6 * 20.2 / 19.25
    for y, expected in ((at_edge - 0.35, False), (at_edge - 0.25, True)):
        assert visible(frame(lorry(15, -3), person(20.5, y)))[1] == expected


def test_the_lead_car_hides_a_queue_but_a_person_a_bicycle_and_a_cone_hide_nobody():
    assert visible(frame(car(10, 0), car(18, 0), car(26, 0))).tolist() == [True, False, False]
    slim = [
        (10.0, 0.0, 1.57, (2.0, 2.0), kind)
        for kind in (ObjectClass.PEDESTRIAN, ObjectClass.BIKE, ObjectClass.BARRIER)
    ]
    for row in slim:
        assert visible(frame(row, car(18, 0))).tolist() == [True, True]


def test_sight_goes_all_around_and_turns_with_nothing():
    rows = [(-15, 3, 0.0), (-21, 4, 0.0)]
    for yaw in (0.0, 1.0, 3.1):
        assert visible(frame(lorry(*rows[0]), person(*rows[1][:2]), ego=(0, 0, yaw))).tolist() == [
            True,
            False,
        ]


def test_a_building_at_the_corner_hides_cross_traffic_until_the_ego_is_there():
    walls = np.array([[20.0, -12.0, 0.0, 16.0, 16.0]])  # x 12..28, y -20..-4
    cross = car(34, -20, np.pi / 2)
    assert not visible(frame(cross), walls)[0]
    assert visible(frame(cross))[0]
    assert visible(frame(cross, ego=(26, 0, 0)), walls)[0]
    far = np.array([[500.0, 0.0, 0.0, 16.0, 16.0]])
    assert visible(frame(cross), far)[0]


def test_nothing_hides_itself_nor_does_what_the_ego_stands_in():
    assert visible(frame(lorry(8, 0, 0.4))).tolist() == [True]
    assert visible(frame(lorry(0, 0.5), car(20, 0)))[1]


def test_a_line_along_a_wall_and_one_that_ends_before_it_are_free():
    eye, box = np.zeros(2), np.array([10.0, 0.0, 0.0, 4.0, 2.0])
    targets = np.array([[20.0, 0.0], [7.9, 0.0], [20.0, 2.6], [20.0, 2.4], [-20.0, 0.0]])
    assert crosses(eye, targets, box).tolist() == [True, False, False, True, False]


def test_turning_and_moving_the_whole_scene_changes_nothing():
    rng, hidden = np.random.default_rng(0), 0
    for _ in range(40):
        poses = np.column_stack([rng.uniform(-30, 30, (12, 2)), rng.uniform(-3, 3, 12)])
        rows = [(*pose, LORRY if i % 2 else PERSON, ObjectClass.TRUCK) for i, pose in
                enumerate(poses)]  # fmt: skip
        turn, shift = rng.uniform(-3, 3), rng.uniform(-50, 50, 2)
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        moved = [(*(np.array(row[:2]) @ spin + shift), row[2] + turn, *row[3:]) for row in rows]
        here = visible(frame(*rows))
        assert (visible(frame(*moved, ego=(*shift, turn))) == here).all()
        hidden += int((~here).sum())
    assert 10 < hidden < 400


def test_what_is_hidden_stays_so_when_looked_at_twice():
    once = seen_frame(frame(lorry(12, 0), car(22, 0), car(12, 6)))
    assert once.objects.ids.tolist() == [1, 3]
    assert seen_frame(once).objects.ids.tolist() == [1, 3]


@pytest.fixture
def scene() -> Scene:
    road = np.zeros((400, 1600), np.uint8)
    town = SimpleNamespace(
        road=road, line=np.zeros_like(road), origin=np.array([-100.0, -50.0]), name="straight"
    )
    walls = np.array([[20.0, -10.0, 0.0, 8.0, 8.0]])
    return Scene(town, Route(np.array([[0.0, 0.0], [200.0, 0.0]])), walls=walls)


def test_the_hidden_vanish_from_the_masks_with_their_motion(scene):
    shown = frame(lorry(14, 0), car(24, 0), car(30, -16), car(10, 8))
    masks = {v: planes(Observer(scene, view=v).observe(shown).bev) for v in ("full",
             "line_of_sight")}  # fmt: skip
    alone = planes(Observer(scene).observe(frame(lorry(14, 0), car(10, 8))).bev)
    assert (masks["line_of_sight"] == alone).all()
    for channel in (VEHICLE, MOTION):
        assert masks["full"][channel].sum() > masks["line_of_sight"][channel].sum() > 0


def test_a_view_that_is_none_is_refused(scene):
    with pytest.raises(ValueError, match="no view 'x-ray'; views: full, line_of_sight"):
        Observer(scene, view="x-ray")
