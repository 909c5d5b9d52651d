"""Junctions: who is waited for, who is not, and the lanes they come from."""

from __future__ import annotations

import numpy as np
import pytest
from expert_roads import CROSS_LIGHT, LANE_M, Streets, User, crossing, drive, line, street, strip

from wm_perception.frame import LightBox, LightState
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_sim.expert_lanes import find_areas, find_threads

UP = np.pi / 2
FRONT_M = 2.25


def test_finds_the_lane_that_crosses_its_approach_and_its_light():
    (thread,) = find_threads(crossing())
    assert (thread.route_enter, thread.route_leave) == pytest.approx((58.0, 62.0))
    assert not thread.merges
    assert thread.angle == pytest.approx(UP, abs=0.05)
    assert thread.arc[-1] - thread.arc[0] > 60.0, "the approach is part of it"
    assert thread.light == CROSS_LIGHT
    assert thread.enter - thread.light_arc == pytest.approx(8.0, abs=1.5)


def test_a_lane_that_joins_is_a_merge_and_one_that_leaves_is_nothing():
    turn = np.linspace(0.0, np.pi / 2, 16)
    joining = np.stack([60.0 - 10.0 * np.cos(turn), -10.0 + 10.0 * np.sin(turn)], 1)
    leaving = np.stack([60.0 + 10.0 * np.sin(turn), -10.0 + 10.0 * np.cos(turn)], 1)
    lanes = [
        strip(line((0, 0), (60, 0))),
        strip(line((60, 0), (120, 0))),
        strip(line((50, -60), (50, -10))),
        strip(joining),
        strip(leaving),
    ]
    scene = Scene(Streets(lanes), Route(np.array([[0.0, 0.0], [120.0, 0.0]])))
    (thread,) = find_threads(scene)
    assert thread.merges
    assert 50.0 < thread.route_enter < 60.0


def test_meeting_places_close_together_are_one_area():
    lanes = [strip(line((0, 0), (150, 0)))]
    lanes += [strip(line((x, -40), (x, 40))) for x in (60.0, 65.0, 110.0)]
    scene = Scene(Streets(lanes), Route(np.array([[0.0, 0.0], [150.0, 0.0]])))
    areas = find_areas(find_threads(scene))
    assert [(a.enter, a.leave) for a in areas] == [(58.0, 67.0), (108.0, 112.0)]


def test_waits_for_a_vehicle_that_crosses_and_then_goes():
    result = drive(crossing(), [User(60.0, -55.0, UP, 8.0)], 20.0)
    assert not result.touched
    passed = next(i for i, seen in enumerate(result.objects) if seen.poses[0, 1] > 3.0)
    assert result.x[passed] + FRONT_M < 58.5
    assert result.x[-1] > 100.0


def test_does_not_wait_for_one_that_comes_much_later_or_that_stands():
    alone = drive(crossing(), [], 12.0).x
    for other in (User(60.0, -80.0, UP, 3.0), User(60.0, -16.0, UP, 0.0)):
        result = drive(crossing(), [other], 12.0)
        assert not result.touched
        assert result.x[-1] > alone[-1] - 3.0


@pytest.mark.parametrize(("light", "waits"), [(LightState.RED, False), (LightState.GREEN, True)])
def test_trusts_a_red_light_that_the_other_can_still_stop_for(light, waits):
    # It slows down to a stop at its line, which a driver who knows of no light cannot foresee.
    other = User(60.0, -50.0, UP, 6.0, stop_s=5.5)
    slowest = drive(crossing(), [other], 8.0, lights={CROSS_LIGHT: light}).speed.min()
    assert (slowest < 6.5) == waits


def test_brakes_for_one_that_runs_its_red_light():
    other = User(60.0, -62.0, UP, 10.0)
    result = drive(crossing(), [other], 20.0, lights={CROSS_LIGHT: LightState.RED})
    assert not result.touched
    assert result.x[-1] > 100.0


def test_keeps_the_box_free_and_loses_patience_at_last():
    queue = [User(68.0 + 7.0 * i, 0.0) for i in range(4)]
    result = drive(crossing(), queue, 12.0)
    assert result.speed[-1] < 0.2
    assert result.x[-1] + FRONT_M < 58.0
    later = drive(crossing(), queue, 28.0)
    assert not later.touched
    assert later.x[-1] > 60.0


def test_a_vehicle_in_the_oncoming_lane_is_none_of_its_business():
    alone = drive(street(), [], 10.0)
    result = drive(street(), [User(120.0, LANE_M, np.pi, 8.0)], 10.0)
    assert result.x == pytest.approx(alone.x)


def test_turns_left_after_the_oncoming_traffic():
    turn = np.linspace(0.0, np.pi / 2, 20)
    bend = np.stack([50.0 + 11.75 * np.sin(turn), 11.75 * (1.0 - np.cos(turn))], 1)
    lanes = [
        strip(line((0, 0), (50, 0))),
        strip(bend),
        strip(line((61.75, 11.75), (61.75, 80))),
        strip(line((140, LANE_M), (75, LANE_M))),
        strip(line((75, LANE_M), (50, LANE_M))),
        strip(line((50, LANE_M), (0, LANE_M))),
    ]
    route = Route(np.concatenate([line((0, 0), (49, 0)), bend, line((61.75, 13), (61.75, 80))]))
    scene = Scene(Streets(lanes), route, (LightBox(1, (47.0, 0.0), 0.0, 4.0, 3.0),))
    oncoming = [User(x, LANE_M, np.pi, 8.0) for x in (85.0, 110.0)]
    result = drive(scene, oncoming, 25.0, lights={1: LightState.GREEN})
    assert not result.touched
    last = next(i for i, seen in enumerate(result.objects) if seen.poses[1, 0] < 55.0)
    assert result.y[last] < 1.0, "it waits for both"
    assert result.y[-1] > 40.0
