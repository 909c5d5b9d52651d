"""Passing what stands in the way, and not passing what does not."""

from __future__ import annotations

import numpy as np
import pytest
from expert_roads import LANE_M, LIGHT, User, drive, straight, street

from wm_perception.frame import LightState, ObjectClass


def test_passes_a_car_that_has_broken_down_and_returns():
    result = drive(street(), [User(60.0, 0.0)], 30.0)
    assert not result.touched
    assert result.x[-1] > 100.0
    beside = np.abs(result.x - 60.0) < 4.0
    assert result.y[beside].min() > 2.1
    assert abs(result.y[-1]) < 0.3


def test_lets_the_oncoming_traffic_pass_first():
    oncoming = [User(90.0 + 25.0 * i, LANE_M, np.pi, 7.0) for i in range(4)]
    result = drive(street(), [User(60.0, 0.0), *oncoming], 45.0)
    assert not result.touched
    out = next(i for i, y in enumerate(result.y) if y > 1.0)
    assert result.objects[out].poses[-1, 0] < 75.0, "the last one is nearly past"
    assert result.x[-1] > 80.0


@pytest.mark.parametrize("kind", [ObjectClass.CAR, ObjectClass.BARRIER])
def test_a_small_shift_needs_no_stop(kind):
    thing = User(60.0, -1.9, kind=kind)
    props = [thing] if kind == ObjectClass.BARRIER else []
    result = drive(street(), [] if props else [thing], 15.0, props=props)
    assert not result.touched
    assert result.speed[20:].min() > 3.0
    assert 0.1 < result.y.max() < 1.0


@pytest.mark.parametrize("last", [User(39.0, 0.0), User(40.0, -0.75, kind=ObjectClass.BIKE)])
def test_never_passes_a_queue_at_a_red_light(last):
    queue = [User(46.0, 0.0), last]
    result = drive(straight(), queue, 60.0, lights={LIGHT: LightState.RED})
    assert np.abs(result.y).max() < 0.2
    assert 31.0 < result.x[-1] < 36.0


def test_gives_one_who_was_driving_time_to_drive_on():
    # Drives ahead, stands for 5 s, goes on: no reason to overtake it.
    lead = User(20.0, 0.0, speed=7.0, stop_s=4.0)
    result = drive(street(), [lead], 9.0)
    assert np.abs(result.y).max() < 0.2
    assert drive(street(), [lead], 40.0).x[-1] > 80.0, "but not for ever"


def test_backs_up_when_it_stands_too_close_to_get_around():
    result = drive(street(), [User(15.0, 0.0)], 30.0, speed=0.0, start_x=8.5)
    assert not result.touched
    assert result.x.min() < 7.0
    assert result.x[-1] > 60.0


def test_overtakes_a_cyclist_with_room_and_waits_while_somebody_comes():
    bike = User(25.0, -0.6, speed=3.0, kind=ObjectClass.BIKE)
    result = drive(street(300.0), [bike], 25.0)
    assert not result.touched
    gaps = [
        ego.y - seen.poses[0, 1] - 0.925 - 0.3
        for ego, seen in zip(result.egos, result.objects, strict=True)
        if abs(ego.x - seen.poses[0, 0]) < 3.0
    ]
    assert gaps
    assert min(gaps) > 1.2
    stream = [User(60.0 + 30.0 * i, LANE_M, np.pi, 7.0) for i in range(12)]
    assert drive(street(300.0), [bike, *stream], 15.0).y.max() < 0.5
