"""Labels of a scene that can be checked by hand: ego 4 m long, car ahead, stop line at 50 m."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.heads import LABELS
from wm_perception.frame import LightState
from wm_training.labels import FAR_M, Labeller


def named(labelled) -> dict[str, float]:
    return dict(zip(LABELS, labelled.labels.tolist(), strict=True))


def label_one(road, *args, **values) -> dict[str, float]:
    return named(Labeller(road.scene()).label(road.frame(*args, **values)))


def drive(road, xs, **values) -> list:
    labeller = Labeller(road.scene())
    return [labeller.label(road.frame(x, number=i, **values)) for i, x in enumerate(xs)]


def test_an_empty_road_has_no_leader_and_no_stop_line(road):
    labels = label_one(road, 20.0)
    assert (labels["leader_present"], labels["leader_gap"], labels["leader_speed"]) == (0, FAR_M, 0)
    assert (labels["stop_present"], labels["stop_distance"]) == (0, FAR_M)
    assert all(labels[name] == 0 for name in ("near", "collision", "off_road", "red_violation"))
    assert labels["cont"] == 1


def test_leader_is_bumper_to_bumper_with_its_speed(road):
    labels = label_one(road, 20.0, cars=road.car(40.0, speed=3.0))
    assert labels["leader_present"] == 1
    assert labels["leader_gap"] == pytest.approx(16.0, abs=0.6)
    assert labels["leader_speed"] == pytest.approx(3.0)


@pytest.mark.parametrize("y", [3.5, -3.5])
def test_a_car_in_the_next_lane_is_no_leader(road, y):
    assert label_one(road, 20.0, cars=road.car(40.0, y))["leader_present"] == 0


def test_a_leader_out_of_range_is_absent(road):
    labels = label_one(road, 20.0, cars=road.car(20.0 + 2.0 + FAR_M + 3.0, speed=3.0))
    assert (labels["leader_present"], labels["leader_gap"], labels["leader_speed"]) == (0, FAR_M, 0)


@pytest.mark.parametrize(
    "light, present",
    [(LightState.RED, 1), (LightState.YELLOW, 1), (LightState.GREEN, 0), (LightState.OFF, 0)],
)
def test_stop_line_counts_while_red_or_yellow(road, light, present):
    labels = label_one(road, 20.0, light=light)
    assert labels["stop_present"] == present
    expected = road.stop_x - 20.0 - 2.0 if present else FAR_M
    assert labels["stop_distance"] == pytest.approx(expected, abs=0.05)


def test_near_is_arms_reach_and_collision_is_what_the_sensor_says(road):
    beside = label_one(road, 20.0, cars=road.car(20.0, 2.2))
    far_beside = label_one(road, 20.0, cars=road.car(20.0, 2.5))
    ahead = label_one(road, 20.0, cars=road.car(25.0))
    assert (beside["near"], far_beside["near"], ahead["near"]) == (1, 0, 1)
    assert beside["collision"] == ahead["collision"] == 0
    hit = label_one(road, 20.0, collided=True)
    assert (hit["collision"], hit["cont"]) == (1, 0)


def test_lateral_is_left_positive_and_heading_relative_to_the_route(road):
    assert label_one(road, 20.0, 1.5)["lateral"] == pytest.approx(1.5)
    assert label_one(road, 20.0, -1.5)["lateral"] == pytest.approx(-1.5)
    assert label_one(road, 20.0)["heading"] == pytest.approx(0.0)


def test_progress_and_motion_are_what_the_frame_moved(road):
    labelled = drive(road, [20.0, 20.5, 21.5, 21.2])
    progress = [named(frame)["progress"] for frame in labelled]
    np.testing.assert_allclose(progress, [0.0, 0.5, 1.0, -0.3], atol=1e-6)
    np.testing.assert_allclose([frame.motion[0] for frame in labelled], progress, atol=1e-6)


def test_a_jump_is_no_progress(road):
    labelled = drive(road, [20.0, 20.5, 90.0, 90.5])
    assert labelled[2].observation.reset
    assert named(labelled[2])["progress"] == 0.0
    np.testing.assert_array_equal(labelled[2].motion, np.zeros(3))
    assert named(labelled[3])["progress"] == pytest.approx(0.5)


def test_a_red_light_run_is_remembered_for_one_second(road):
    xs = np.arange(45.0, 60.0, 0.5)
    violation = [named(f)["red_violation"] for f in drive(road, xs, light=LightState.RED)]
    first = int(np.argmax(np.array(xs) + 2.0 > road.stop_x))  # the bumper is 2 m ahead
    assert violation == [float(first <= i < first + 10) for i in range(len(xs))]
    rewards = [named(f)["reward"] for f in drive(road, xs, light=LightState.RED)]
    assert np.argmin(rewards) == first, "the penalty falls on the frame of the crossing alone"
    assert (np.array(rewards) < 0).sum() == 1


@pytest.mark.parametrize("light", [LightState.YELLOW, LightState.GREEN])
def test_yellow_and_green_may_be_passed(road, light):
    labelled = drive(road, np.arange(45.0, 60.0, 0.5), light=light)
    assert sum(named(frame)["red_violation"] for frame in labelled) == 0


def test_an_episode_ends_at_a_collision_or_far_from_the_route(road):
    labeller = Labeller(road.scene())
    assert not labeller.label(road.frame(20.0, 4.9)).ended
    assert labeller.label(road.frame(20.5, 5.1, number=1)).ended
    assert Labeller(road.scene()).label(road.frame(20.0, collided=True)).ended


def test_reward_prefers_progress_and_dislikes_crashes_and_verges(road):
    labeller = Labeller(road.scene())
    labeller.label(road.frame(20.0))
    cruising = named(labeller.label(road.frame(20.8, number=1)))
    crashed = named(labeller.label(road.frame(21.6, number=2, collided=True)))
    off_road = label_one(road, 20.0, 5.5)
    assert cruising["reward"] == pytest.approx(0.8)
    assert crashed["reward"] < -15
    assert off_road["off_road"] == 1 and off_road["reward"] < 0
