"""Making room at the right edge."""

from __future__ import annotations

import numpy as np
from expert_roads import User, drive, street

from wm_perception.frame import ObjectClass


def test_shifts_right_and_slows_down_for_an_oncoming_vehicle_in_its_lane():
    result = drive(street(), [User(90.0, 2.0, np.pi, 7.0)], 12.0)
    assert not result.touched
    assert result.y.min() < -0.15
    assert result.speed[30:60].min() < 5.0
    assert abs(result.y[-1]) < 0.2


def test_stops_for_one_that_takes_the_whole_lane():
    result = drive(street(), [User(80.0, 0.3, np.pi, 5.0, stop_s=6.0)], 13.0)
    assert not result.touched
    assert result.speed[-1] < 0.3


def test_lets_a_large_vehicle_pass_that_pushes_from_behind():
    pushing = User(-6.5, 0.0, 0.0, 6.6, ObjectClass.TRUCK)
    result = drive(street(), [pushing], 1.5, speed=6.6)
    assert result.speed[-1] < 5.0
    assert result.y[-1] < -0.1
    car = User(-6.5, 0.0, 0.0, 6.6)
    assert drive(street(), [car], 1.5, speed=6.6).speed[-1] > 6.5
