"""What single actors do on a straight road, checked by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.frame import EgoState, LightBox, LightState, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_sim.scenarios.actor_spec import ActorSpec
from wm_sim.scenarios.actors import Moment, Mover, travel_time
from wm_sim.scenarios.tracks import Track

DT = 0.1
LIGHT = 7


def straight() -> Scene:
    route = Route(np.array([[0.0, 0.0], [200.0, 0.0]]))
    return Scene(SimpleNamespace(), route, (LightBox(LIGHT, (98.0, 0.0), 0.0, 4.0, 3.0),))


def mover(*steps: dict, start_m: float = 20.0) -> Mover:
    spec = ActorSpec.model_validate(
        {
            "name": "car",
            "blueprint": "vehicle.audi.a2",
            "path": {"kind": "route"},
            "steps": steps,
        }
    )
    return Mover(spec, Track(straight(), start_m, route_sign=1), 4.0, 2.0)


def moment(ego_x=-50.0, ego_speed=0.0, triggered=False, light=LightState.GREEN, lateral=0.0):
    ego = EgoState(ego_x, lateral, 0.0, ego_speed, length=4.0, width=2.0)
    frame = SceneFrame(0, ego, light_states={LIGHT: light})
    return Moment(frame, ego_x, lateral, triggered, DT)


def advance(car: Mover, seconds: float, **about) -> None:
    for _ in range(round(seconds / DT)):
        car.advance(moment(**about))


def test_it_stands_until_the_trigger():
    car = mover({"do": "wait", "until": "trigger"}, {"do": "drive", "speed_mps": 5.0})
    advance(car, 3.0)
    assert (car.station_m, car.speed_mps) == (20.0, 0.0)
    advance(car, 3.0, triggered=True)
    assert car.speed_mps == 5.0


def test_it_reaches_its_speed_no_faster_than_it_may():
    car = mover({"do": "drive", "speed_mps": 8.0, "accel_mps2": 4.0})
    advance(car, 1.0)
    assert car.speed_mps == pytest.approx(4.0)
    advance(car, 2.0)
    assert car.speed_mps == 8.0
    distance = car.station_m - 20.0
    assert travel_time(distance, 0.0, 8.0, 4.0) == pytest.approx(3.0, abs=0.06)


def test_it_brakes_to_a_standstill_and_goes_on():
    steps = ({"do": "brake", "decel_mps2": 5.0}, {"do": "wait", "for_s": 2.0})
    car = mover(*steps, {"do": "drive", "speed_mps": 3.0})
    car.speed_mps = 10.0
    advance(car, 2.0)
    assert car.speed_mps == 0.0
    assert car.station_m == pytest.approx(20.0 + 10.0, abs=0.6), "v^2 / 2a"
    advance(car, 1.9)
    assert car.speed_mps == 0.0
    advance(car, 2.0)
    assert car.speed_mps == 3.0


@pytest.mark.parametrize("ahead", [12.0, -9.0])
def test_pacing_holds_a_distance_to_the_ego(ahead):
    car = mover({"do": "pace", "ahead_m": ahead}, start_m=30.0)
    car.speed_mps = 7.0
    ego_x = 30.0 - ahead - 4.0  # 4 m away from where it wants to be
    for _ in range(120):
        car.advance(moment(ego_x, 7.0))
        ego_x += 0.7
    assert car.station_m - ego_x == pytest.approx(ahead, abs=0.2)


def test_a_lane_change_is_smooth_and_takes_its_time():
    car = mover({"do": "drive", "speed_mps": 10.0, "lateral_m": 3.5, "over_s": 2.0})
    car.speed_mps = 10.0
    laterals, yaws = [], []
    for _ in range(25):
        car.advance(moment())
        laterals.append(car.lateral_m)
        yaws.append(car.pose[2])
    assert laterals[10] == pytest.approx(1.75, abs=0.01), "half way after half the time"
    assert laterals[-1] == pytest.approx(3.5)
    assert np.diff(laterals).min() >= 0.0
    assert 0.2 < max(yaws) < 0.4 and yaws[-1] == 0.0
    assert car.pose[1] == pytest.approx(3.5)


def test_it_does_not_run_into_the_ego():
    car = mover({"do": "drive", "speed_mps": 9.0})
    car.speed_mps = 9.0
    advance(car, 12.0, ego_x=70.0)
    assert car.speed_mps < 0.1
    assert 1.0 < 70.0 - car.station_m - 4.0 < 4.0


def test_without_a_gap_it_cuts_across_who_drives_but_not_who_stands():
    step = {"do": "drive", "speed_mps": 9.0, "keeps_gap": False}
    car = mover(step)
    advance(car, 8.0, ego_x=70.0, ego_speed=8.0)
    assert car.station_m > 75.0
    car = mover(step)
    advance(car, 8.0, ego_x=70.0)
    assert 70.0 - car.station_m >= 4.0, "the bodies do not touch"


def test_it_stops_at_a_red_light_unless_told_otherwise():
    car = mover({"do": "drive", "speed_mps": 8.0}, start_m=50.0)
    advance(car, 15.0, light=LightState.RED)
    assert 95.0 < car.station_m + 2.0 < 100.0
    runner = mover({"do": "drive", "speed_mps": 8.0, "heeds_lights": False}, start_m=50.0)
    advance(runner, 15.0, light=LightState.RED)
    assert runner.station_m > 110.0


def test_it_sees_when_the_ego_gives_way():
    step = {"do": "wait", "until": "yielded"}
    for about in ({"ego_speed": 1.0, "triggered": True}, {"ego_speed": 8.0, "lateral": -1.0}):
        car = mover(step, {"do": "drive", "speed_mps": 5.0})
        advance(car, 1.0, ego_speed=8.0, triggered=True)
        assert car.speed_mps == 0.0
        advance(car, 1.0, **about)
        assert car.speed_mps > 0.0


def test_it_stays_where_it_is_hit_and_ends_with_its_path():
    car = mover({"do": "drive", "speed_mps": 10.0}, start_m=190.0)
    car.strike()
    advance(car, 1.0)
    assert car.station_m == 190.0
    car = mover({"do": "drive", "speed_mps": 10.0}, start_m=190.0)
    advance(car, 5.0)
    assert car.done and car.station_m == 200.0 and car.speed_mps == 0.0


@pytest.mark.parametrize(
    "case, seconds",
    [((0.0, 5.0, 8.0, 2.0), 0.0), ((40.0, 8.0, 8.0, 2.0), 5.0), ((4.0, 0.0, 8.0, 2.0), 2.0),
     ((12.0, 8.0, 4.0, 2.0), 2.0), ((16.0, 8.0, 4.0, 2.0), 3.0), ((50.0, 8.0, 0.0, 2.0), math.inf)],
)  # fmt: skip
def test_travel_times(case, seconds):
    assert travel_time(*case) == pytest.approx(seconds)
