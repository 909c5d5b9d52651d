"""The ego vehicle against the library it is written after, and against the sign conventions."""

from __future__ import annotations

import math

import pytest
from vehiclemodels.parameters_vehicle2 import parameters_vehicle2
from vehiclemodels.utils.vehicle_dynamics_ks_cog import vehicle_dynamics_ks_cog
from vehiclemodels.vehicle_dynamics_st import vehicle_dynamics_st

from wm_perception.frame import Command
from wm_sim import single_track
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
    assert single_track.derivatives_single_track(ours, 0.3, -2.0) == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.parametrize("steer", [0.0, 0.3, -0.6])
def test_kinematic_matches_commonroad(parameters, steer):
    ours = VehicleState(1.0, 2.0, steer, 3.0, 0.7)
    expected = vehicle_dynamics_ks_cog([1.0, 2.0, steer, 3.0, 0.7], [0.3, 1.0], parameters)
    assert single_track.derivatives_kinematic(ours, 0.3, 1.0) == pytest.approx(expected, rel=1e-9)


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
    assert car.state.steer_rad == pytest.approx(0.1 * single_track.MAX_STEER_RATE)


def test_steady_turn_is_close_to_the_kinematic_radius():
    car = Vehicle(VehicleState(0.0, 0.0, speed=6.0))
    for _ in range(40):
        car.step(Command(steer=0.2, accel=0.06), 0.1)
    ego = car.ego()
    expected = ego.speed_mps * math.tan(0.2 * single_track.MAX_STEER_RAD) / single_track.WHEELBASE_M
    assert ego.yaw_rate_radps == pytest.approx(expected, rel=0.15)


def test_not_finite_command_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        Vehicle(VehicleState(0.0, 0.0)).step(Command(steer=math.nan), 0.1)


def test_with_little_slip_a_wet_road_only_softens_the_tyres():
    state = VehicleState(1.0, 2.0, 0.02, 10.0, 0.7, 0.05, -0.003)
    dry = single_track.derivatives_single_track(state, 0.1, -1.0)
    assert single_track.derivatives_sliding(state, 0.1, -1.0, 1.0) == pytest.approx(dry, rel=1e-9)
    half = single_track.derivatives_sliding(state, 0.1, -1.0, 0.5)
    assert half[5] == pytest.approx(0.5 * dry[5], rel=1e-9)
    assert half[6] + state.yaw_rate == pytest.approx(0.5 * (dry[6] + state.yaw_rate), rel=1e-9)


@pytest.mark.parametrize("grip", [0.3, 0.65, 0.9])
def test_no_corner_is_taken_faster_than_friction_allows(grip):
    car = Vehicle(VehicleState(0.0, 0.0, speed=12.0))
    car.grip = grip
    limit = single_track.FRICTION * single_track.GRAVITY * grip
    for _ in range(20):
        before = car.velocity
        car.step(Command(steer=1.0, accel=0.1), 0.01)
        assert math.dist(car.velocity, before) / 0.01 < 1.2 * limit


def test_less_grip_brakes_and_pulls_less():
    rates = [
        single_track.longitudinal_accel(Command(accel=-1.0), 10.0, g) for g in (1.0, 0.65, 0.3)
    ]
    assert rates == pytest.approx([-8.35, -7.038, -3.437], abs=0.01)
    rates = [single_track.longitudinal_accel(Command(accel=1.0), 5.0, g) for g in (1.0, 0.65, 0.3)]
    assert rates[0] == pytest.approx(4.25)
    assert rates[0] > rates[1] > rates[2] > 0.5


def test_reverse_gear_drives_backwards_to_its_limit_and_brakes_to_a_stop():
    car = Vehicle(VehicleState(0.0, 0.0))
    for _ in range(60):
        car.step(Command(steer=0.2, accel=0.5, reverse=True), 0.1)
    ego = car.ego()
    assert -single_track.MAX_REVERSE_MPS - 0.05 < ego.speed_mps < -4.5
    assert ego.yaw_rate_radps < -0.1  # wheels to the left: the tail goes left
    assert ego.command.reverse
    for _ in range(20):
        car.step(Command(accel=-1.0, reverse=True), 0.1)
    assert car.ego().speed_mps == 0.0


@pytest.mark.parametrize("reverse", [False, True])
def test_throttle_against_the_motion_brakes_first(reverse):
    sign = 1.0 if reverse else -1.0
    car = Vehicle(VehicleState(0.0, 0.0, speed=3.0 * sign))
    car.step(Command(accel=1.0, reverse=reverse), 0.1)
    assert 2.0 < car.ego().speed_mps * sign < 2.7
    car.step(Command(accel=-1.0, reverse=reverse), 0.1)
    for _ in range(10):
        car.step(Command(accel=-1.0, reverse=reverse), 0.1)
    assert car.ego().speed_mps == pytest.approx(0.0, abs=1e-9)
    for _ in range(10):
        car.step(Command(accel=1.0, reverse=reverse), 0.1)
    assert car.ego().speed_mps * sign < -1.0


def test_absurd_commands_stay_within_the_pedals():
    car, other = (Vehicle(VehicleState(0.0, 0.0, speed=5.0)) for _ in range(2))
    car.step(Command(1e30, -1e30), 0.1)
    other.step(Command(1.0, -1.0), 0.1)
    assert car.ego() == other.ego()


def test_friction_takes_away_what_an_impact_left():
    car = Vehicle(VehicleState(0.0, 0.0, speed=6.0))
    car.push(6.0, 1.5, 1.0)
    assert car.velocity == pytest.approx([6.0, 1.5])
    assert car.ego().yaw_rate_radps == pytest.approx(1.0)
    for _ in range(10):
        car.step(Command(), 0.1)
    assert car.slide_mps == car.spin_radps == 0.0
    assert 0.0 < car.state.y < 1.5 and 0.0 < car.state.yaw < 0.3
