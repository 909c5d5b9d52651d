"""The ego vehicle against the library it is written after, and against the sign conventions."""

from __future__ import annotations

import math

import pytest
from vehiclemodels.parameters_vehicle2 import parameters_vehicle2
from vehiclemodels.utils.vehicle_dynamics_ks_cog import vehicle_dynamics_ks_cog
from vehiclemodels.vehicle_dynamics_st import vehicle_dynamics_st

from wm_perception.frame import Command
from wm_sim import vehicle
from wm_sim.vehicle import Vehicle, VehicleState


@pytest.fixture(scope="module")
def parameters():
    found = parameters_vehicle2()
    found.steering.v_max, found.steering.v_min = 2.0, -2.0  # ours limits the rate itself
    return found


@pytest.mark.parametrize("speed", [4.0, 8.0, 15.0])
@pytest.mark.parametrize(
    ("steer", "yaw_rate", "slip"), [(0.0, 0.0, 0.0), (0.2, 0.4, -0.03), (-0.4, 0.1, 0.05)]
)
def test_single_track_matches_commonroad(parameters, speed, steer, yaw_rate, slip):
    ours = VehicleState(1.0, 2.0, steer, speed, 0.7, yaw_rate, slip)
    theirs = [1.0, 2.0, steer, speed, 0.7, yaw_rate, slip]
    expected = vehicle_dynamics_st(theirs, [0.3, -2.0], parameters)
    assert vehicle.derivatives_single_track(ours, 0.3, -2.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("steer", [0.0, 0.3, -0.6])
def test_kinematic_matches_commonroad(parameters, steer):
    ours = VehicleState(1.0, 2.0, steer, 3.0, 0.7)
    expected = vehicle_dynamics_ks_cog([1.0, 2.0, steer, 3.0, 0.7], [0.3, 1.0], parameters)
    assert vehicle.derivatives_kinematic(ours, 0.3, 1.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("speed", [2.0, 9.0])
def test_left_steer_turns_left(speed):
    car = Vehicle(VehicleState(0.0, 0.0, speed=speed))
    for _ in range(10):
        car.step(Command(steer=0.3, accel=0.1), 0.1)
    ego = car.ego()
    assert ego.yaw_rate_radps > 0.05
    assert ego.yaw > 0.02 and ego.y > 0.0 and ego.x > 1.0


def test_throttle_accelerates_and_brake_stops_without_reversing():
    car = Vehicle(VehicleState(0.0, 0.0))
    for _ in range(20):
        car.step(Command(accel=1.0), 0.1)
    assert 6.0 < car.ego().speed_mps < 9.5
    assert car.ego().accel_mps2 > 1.0
    for _ in range(30):
        car.step(Command(accel=-1.0), 0.1)
    assert car.ego().speed_mps == 0.0
    stopped_at = car.ego().x
    car.step(Command(accel=-1.0), 0.1)
    assert car.ego().x == stopped_at


def test_steering_rate_is_limited():
    car = Vehicle(VehicleState(0.0, 0.0, speed=3.0))
    car.step(Command(steer=1.0), 0.1)
    assert car.state.steer_rad == pytest.approx(0.1 * vehicle.MAX_STEER_RATE)


def test_steady_turn_is_close_to_the_kinematic_radius():
    car = Vehicle(VehicleState(0.0, 0.0, speed=6.0))
    for _ in range(40):
        car.step(Command(steer=0.2, accel=0.06), 0.1)
    ego = car.ego()
    expected = ego.speed_mps * math.tan(0.2 * vehicle.MAX_STEER_RAD) / vehicle.WHEELBASE_M
    assert ego.yaw_rate_radps == pytest.approx(expected, rel=0.15)


def test_not_finite_command_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        Vehicle(VehicleState(0.0, 0.0)).step(Command(steer=math.nan), 0.1)
