"""Leader, stop line, red-light runs and masks in a scene small enough to check by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.bev import CHANNELS, EGO_ROW, METRES_PER_PX, SIZE_PX, BevPainter, planes
from wm_perception.frame import EgoState, LightBox, LightState, Objects, SceneFrame
from wm_perception.observation import Observer
from wm_perception.route import Route
from wm_perception.scene import Scene, leader, ran_red_light, stop_distance, touches

EGO = EgoState(20.0, 0.0, 0.0, 5.0, length=4.0, width=2.0)


def town():
    road = np.zeros((400, 1200), np.uint8)
    road[180:220] = 255  # 10 m wide road along y = 0, 300 m long from x = -100
    return SimpleNamespace(
        road=road, line=np.zeros_like(road), origin=np.array([-100.0, -50.0]), name="strip"
    )


def cars(*rows):
    """x, y, yaw, vx, vy each."""
    rows = np.array(rows, float).reshape(-1, 5)
    return Objects(
        np.arange(len(rows)), rows[:, :3], rows[:, 3:], np.tile([4.0, 2.0], (len(rows), 1))
    )


@pytest.fixture
def scene():
    route = Route(np.array([[0.0, 0.0], [150.0, 0.0]]))
    return Scene(town(), route, (LightBox(7, (48.0, 0.0), 0.0, 4.0, 3.0),))


def test_leader_gap_is_bumper_to_bumper(scene):
    found = leader(scene, EGO, cars((40.0, 0.0, 0.0, 3.0, 0.0)), 20.0)
    assert found.gap_m == pytest.approx(16.0, abs=0.6)
    assert found.speed_mps == pytest.approx(3.0)


@pytest.mark.parametrize("row", [(40.0, 3.5, 0, 3, 0), (10.0, 0, 0, 3, 0), (90.0, 0, 0, 3, 0)])
def test_next_lane_behind_and_far_away_are_no_leaders(scene, row):
    assert leader(scene, EGO, cars(row), 20.0) is None


def test_nearest_of_several_leads_and_an_oncoming_car_counts_as_standing(scene):
    found = leader(scene, EGO, cars((45, 0, 0, 5, 0), (35, 0.5, np.pi, -6, 0)), 20.0)
    assert found.gap_m == pytest.approx(11.0, abs=0.6)
    assert found.speed_mps == 0.0


@pytest.mark.parametrize("state", [LightState.RED, LightState.YELLOW])
def test_stop_line_is_where_the_route_leaves_the_box(scene, state):
    frame = SceneFrame(0, EGO, light_states={7: state})
    assert stop_distance(scene, frame, 20.0) == pytest.approx(50.0 - 20.0 - 2.0, abs=0.05)


def test_green_or_passed_means_no_stop_line(scene):
    assert stop_distance(scene, SceneFrame(0, EGO, light_states={7: LightState.GREEN}), 20) is None
    red = SceneFrame(0, EGO, light_states={7: LightState.RED})
    assert stop_distance(scene, red, 48.5) is None


def test_running_red_counts_once_and_only_on_red(scene):
    red = SceneFrame(0, EGO, light_states={7: LightState.RED})
    yellow = SceneFrame(0, EGO, light_states={7: LightState.YELLOW})
    crossings = [ran_red_light(scene, red, s, s + 0.5) for s in np.arange(45, 52, 0.5)]
    assert sum(crossings) == 1
    assert not any(ran_red_light(scene, yellow, s, s + 0.5) for s in np.arange(45, 52, 0.5))


def test_touching(scene):
    assert touches(EGO, cars((23.9, 0, 0, 0, 0)))
    assert not touches(EGO, cars((24.1, 0, 0, 0, 0)))
    assert touches(EGO, cars((24.1, 0, 0, 0, 0)), ahead_m=0.5)
    assert touches(EGO, cars((20.0, 2.1, 0, 0, 0)), side_m=0.2)


def test_masks_put_forward_up_and_left_left(scene):
    frame = SceneFrame(0, EGO, cars((40.0, 4.0, 0.0, 3.0, 0.0)), light_states={7: LightState.RED})
    masks = dict(zip(CHANNELS, planes(BevPainter(scene).paint(frame, 20.0)), strict=True))
    row, column = SIZE_PX * EGO_ROW, SIZE_PX / 2
    car = np.argwhere(masks["vehicle"]).mean(0)
    np.testing.assert_allclose(
        car, [row - 20.0 / METRES_PER_PX, column - 4.0 / METRES_PER_PX], atol=1.0
    )
    stop = np.argwhere(masks["stop_line"]).mean(0)
    np.testing.assert_allclose(stop, [row - 30.0 / METRES_PER_PX, column], atol=1.0)
    motion = np.argwhere(masks["vehicle_motion"])[:, 0]
    assert motion.min() < car[0] - 2.0, "the next second of a car that drives away lies ahead"
    assert masks["road"].mean() == pytest.approx(10.0 / (SIZE_PX * METRES_PER_PX), abs=0.05)
    assert masks["route"][: int(row), int(column) - 1 : int(column) + 1].mean() > 0.8


def test_observer_says_when_the_route_is_done(scene):
    observer = Observer(scene, 0.1)
    assert not observer.observe(SceneFrame(0, replace(EGO, x=144.0))).arrived
    assert observer.observe(SceneFrame(100_000_000, replace(EGO, x=145.2))).arrived


def test_observer_flags_jumps_and_time_gaps(scene):
    observer = Observer(scene, 0.1)
    first = SceneFrame(0, EGO)
    assert observer.observe(first).reset
    moved = replace(first, stamp_ns=100_000_000, ego=replace(EGO, x=20.5))
    assert not observer.observe(moved).reset
    jumped = replace(moved, stamp_ns=200_000_000, ego=replace(EGO, x=60.0))
    assert observer.observe(jumped).reset
    late = replace(jumped, stamp_ns=2_000_000_000)
    assert observer.observe(late).reset
