"""People on foot: on the path, stepping onto it, and beside it."""

from __future__ import annotations

import numpy as np
import pytest
from expert_roads import User, drive, street

from wm_perception.frame import ObjectClass

PERSON = ObjectClass.PEDESTRIAN
LEFT, RIGHT = -np.pi / 2, np.pi / 2  # walks from the left, from the right


@pytest.mark.parametrize(("y", "yaw"), [(-5.0, RIGHT), (6.0, LEFT)])
@pytest.mark.parametrize("speed", [1.2, 2.0])
def test_lets_somebody_cross_and_goes_on(y, yaw, speed):
    for start in np.arange(1.0, 6.0, 0.5):
        person = User(40.0, y, yaw, speed, PERSON, start_s=float(start))
        result = drive(street(), [person], 20.0)
        assert not result.touched, f"started at {start} s"
        assert result.x[-1] > 80.0


def test_does_not_stop_for_people_on_the_pavement():
    walking = [User(30.0 + 5.0 * i, -3.5, 0.0, 1.4, PERSON) for i in range(4)]
    result = drive(street(), walking, 12.0)
    assert result.speed[10:].min() > 4.0


def test_does_not_wait_for_somebody_who_has_crossed():
    away = User(35.0, 2.5, RIGHT, 1.3, PERSON)
    assert drive(street(), [away], 8.0).speed[10:].min() > 4.5


def test_is_slow_beside_people_at_the_edge_of_the_lane():
    result = drive(street(), [User(45.0, -2.3, 0.0, 0.0, PERSON)], 12.0)
    beside = np.abs(result.x - 41.0) < 2.0
    assert not result.touched
    assert result.speed[beside].max() < 6.0


def test_brakes_for_a_cyclist_who_crosses_between_junctions():
    for start in np.arange(0.5, 5.0, 0.5):
        bike = User(40.0, -9.0, RIGHT, 3.5, ObjectClass.BIKE, start_s=float(start))
        assert not drive(street(), [bike], 15.0).touched, f"started at {start} s"


def test_walks_behind_somebody_who_walks_in_the_lane():
    result = drive(street(), [User(25.0, 0.0, 0.0, 1.3, PERSON)], 15.0)
    assert not result.touched
    assert result.speed[-1] == pytest.approx(1.3, abs=0.5)
