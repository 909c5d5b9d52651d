"""Longitudinal rules as functions: emergencies, curves, times."""

from __future__ import annotations

import numpy as np
import pytest

from wm_perception.route import Route
from wm_sim.expert_speed import (
    IDM_GAP_M,
    Limit,
    follow,
    pedal,
    speed_profile,
    stop_at,
    travel_time,
)


def test_a_short_time_to_collision_is_an_emergency():
    assert pedal(follow(8.0, 8.0, [Limit(6.0, 0.0)])) == -1.0
    assert pedal(follow(8.0, 8.0, [Limit(18.0, -8.0)])) == -1.0, "it comes nearer by itself"
    assert follow(8.0, 8.0, [Limit(40.0, 0.0)]) > -2.0
    assert follow(8.0, 8.0, [Limit(30.0, 8.0)]) > -2.0, "it drives on"


def test_less_grip_makes_braking_earlier():
    limit = Limit(35.0, 0.0)
    assert follow(8.0, 8.0, [limit]) > follow(8.0, 8.0, [limit], grip=0.65) + 0.2


def test_a_stop_line_is_where_the_ego_comes_to_rest():
    assert stop_at(12.0, "light").gap_m == pytest.approx(12.0 + IDM_GAP_M)


def test_slows_down_before_a_bend_and_by_grip():
    turn = np.linspace(0.0, np.pi / 2, 20)
    bend = np.stack([60.0 + 10.0 * np.sin(turn), 10.0 * (1.0 - np.cos(turn))], 1)
    route = Route(np.concatenate([[[0.0, 0.0]], bend, [[70.0, 60.0]]]))
    dry, wet = speed_profile(route), speed_profile(route, 0.65)
    assert dry[68] == pytest.approx(np.sqrt(2.0 * 10.0), rel=0.1)
    assert dry[45] > dry[55] > dry[62]
    assert wet[68] < dry[68]
    # Never faster than a comfortable brake allows.
    assert np.diff(dry**2).min() >= -2.0 * 1.5 - 1e-6


@pytest.mark.parametrize(("distance", "speed", "top"), [(20.0, 0.0, 8.0), (60.0, 4.0, 8.0)])
def test_travel_time_agrees_with_stepping(distance, speed, top):
    x, v, t = 0.0, speed, 0.0
    while x < distance:
        v, t = min(top, v + 1.5e-3), t + 1e-3
        x += v * 1e-3
    assert travel_time(distance, speed, 1.5, top) == pytest.approx(t, rel=0.01)
    assert travel_time(-1.0, speed, 1.5, top) == 0.0
