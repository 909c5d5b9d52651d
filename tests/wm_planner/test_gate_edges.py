"""The safety gate exactly at its limits, and its counts."""

from __future__ import annotations

import math

import pytest

from wm_planner.gate_config import GateConfig, TimingConfig
from wm_planner.gate_events import Odometry, Paused, Proposal, Speed, Tick, VehicleInfo
from wm_planner.gate_state import GateState

NAN = float("nan")
# Halves and quarters are exact in binary, so that "exactly" means what it says.
EXACT = GateConfig(
    timing=TimingConfig(
        heartbeat_s=0.5, odometry_warn_s=0.25, odometry_stop_s=0.5, manoeuvre_patience_s=0.25
    )
)


@pytest.fixture
def drive(make_drive):
    """At 100 s, nominal, the last frame answered."""
    drive = make_drive(EXACT)
    drive.wall = 99.0
    drive.nominal()
    drive.wall = 100.0
    drive.frame(wall_step=0.0)
    drive.propose(delay=0.0)
    return drive


def at(drive, wall: float):
    drive.wall = wall
    return drive.take(Tick(wall))


def test_the_heartbeat_may_take_as_long_as_it_says(drive):
    drive.frame(wall_step=0.0)
    decision = at(drive, 100.5)
    assert decision.state is GateState.NOMINAL
    assert not drive.rule(decision, "proposal_wait_s").tripped
    assert drive.propose(delay=0.0).state is GateState.NOMINAL
    drive.frame(wall_step=0.0)
    decision = at(drive, 101.0 + 2**-20)
    assert decision.state is GateState.EMERGENCY_STOP


def test_the_wait_is_reported_while_it_lasts(drive):
    drive.frame(wall_step=0.0)
    decision = at(drive, 100.25)
    wait = drive.rule(decision, "proposal_wait_s")
    assert (wait.value, wait.limit, wait.tripped) == (0.25, 0.5, False)


def test_odometry_may_be_as_old_as_it_says(drive):
    decision = at(drive, 100.25)
    assert not drive.rule(decision, "odometry_age_s").tripped
    decision = at(drive, 100.25 + 2**-20)
    age = drive.rule(decision, "odometry_age_s")
    assert age.tripped and age.limit == 0.25
    assert at(drive, 100.5).state is GateState.NOMINAL
    assert at(drive, 100.5 + 2**-20).state is GateState.EMERGENCY_STOP


def test_blind_the_brake_is_sent_again_after_a_tenth_of_a_second(drive):
    assert at(drive, 101.0).command is not None
    assert at(drive, 101.0625).command is None
    assert at(drive, 101.125).command is not None


def test_blind_the_steering_fades_by_the_time_that_passed(drive):
    drive.frame(wall_step=0.0)
    assert drive.propose(steer=0.01, delay=0.0).command.steer > 0.0
    first, second = at(drive, 101.0).command, at(drive, 101.125).command
    fade = math.exp(-0.125 / EXACT.manoeuvre.steer_decay_s)
    assert first.steer > 0.0 and second.steer / first.steer == pytest.approx(fade)


def test_a_frame_that_cannot_be_used_is_answered_once(drive):
    drive.stamp += 100_000_000
    broken = Odometry(drive.stamp, drive.wall, NAN, 0.0, 0.0, 8.0, 0.0)
    assert drive.take(broken).command is not None
    assert drive.take(broken).command is None


def test_a_proposal_may_be_half_a_second_ahead(drive):
    ahead = drive.take(Proposal(drive.stamp + 500_000_000, 0.0, 0.1, drive.wall))
    assert ahead.state is GateState.NOMINAL and ahead.command is not None
    beyond = drive.take(Proposal(drive.stamp + 500_000_001, 0.0, 0.1, drive.wall))
    assert beyond.state is GateState.COMFORT_STOP


def test_a_proposal_for_a_frame_that_nobody_knows_is_left_alone(make_drive):
    drive = make_drive(EXACT)
    drive.frame()
    drive.frame()
    unknown = drive.take(Proposal(drive.stamp - 50_000_000, 0.0, 0.3, drive.wall))
    assert unknown.command is None and unknown.state is GateState.WAITING


def test_during_a_manoeuvre_the_planner_has_its_chance_first(drive):
    drive.frame(wall_step=0.0)
    drive.propose(accel=NAN, delay=0.0)
    drive.frame(wall_step=0.0)
    assert at(drive, 100.25 - 2**-20).command is None
    assert at(drive, 100.25).command is not None
    assert at(drive, 100.3).command is None  # once


def test_a_pause_between_proposals_longer_than_the_heartbeat_starts_the_streak_over(drive):
    drive.frame(wall_step=0.0)
    drive.propose(accel=NAN, delay=0.0)
    for wall in (100.5, 101.0, 101.5, 102.0):  # each exactly a heartbeat after the last
        drive.wall = wall
        drive.frame(wall_step=0.0)
        assert drive.propose(delay=0.0).state is GateState.COMFORT_STOP
    drive.wall = 102.5 + 2**-20
    drive.frame(wall_step=0.0)
    assert drive.propose(delay=0.0).state is GateState.COMFORT_STOP  # the first of five
    for k in range(4):
        drive.frame(wall_step=0.0)
        assert (drive.propose(delay=0.0).state is GateState.NOMINAL) == (k == 3)


def test_the_first_command_may_turn_as_far_as_in_a_tenth_of_a_second(make_drive):
    drive = make_drive(speed=0.0)
    drive.frame()
    assert drive.propose(steer=1.0).command.steer == pytest.approx(1.5 * 0.1 / 0.61)


def test_after_the_vehicle_was_placed_anew_its_wheels_are_straight(make_drive):
    drive = make_drive(speed=0.0).nominal()
    for _ in range(5):
        drive.frame()
        drive.propose(steer=0.5)
    drive.x += 100.0
    drive.frame()
    assert drive.propose(steer=0.5).command.steer == pytest.approx(1.5 * 0.1 / 0.61)


def test_a_bad_speedometer_is_forgotten(drive):
    drive.take(Speed(3.0, drive.wall))
    drive.take(Speed(NAN, drive.wall))
    assert drive.gate.speed_mps == 8.0


def test_a_speedometer_before_any_odometry_says_nothing(make_drive):
    drive = make_drive()
    assert drive.take(Speed(NAN, drive.wall)).reason == make_drive().gate.update(Tick(0.0)).reason


def test_every_frame_of_a_manoeuvre_is_an_intervention(drive):
    for k in range(3):
        drive.frame(wall_step=0.0)
        assert drive.propose(accel=NAN, delay=0.0).interventions == k + 1
    at(drive, 100.1)
    assert drive.sent[-1].interventions == 3


def test_holding_while_waiting_is_no_intervention(make_drive):
    drive = make_drive(speed=0.0)
    drive.frame()
    assert drive.tick_until_sent().interventions == 0


@pytest.mark.parametrize(
    "lock, wheelbase, taken",
    [
        (1.2, 2.9, True),
        (0.11, 0.51, True),
        (1.49, 9.9, True),
        (NAN, 2.9, False),
        (1.2, NAN, False),
        (0.1, 2.9, False),
        (1.5, 2.9, False),
        (1.2, 0.5, False),
        (1.2, 10.0, False),
    ],
)
def test_a_vehicle_is_believed_when_both_numbers_are_a_cars(make_drive, lock, wheelbase, taken):
    drive = make_drive(speed=8.0).nominal()
    drive.take(VehicleInfo(lock, wheelbase, drive.wall))
    drive.frame()
    decision = drive.propose(steer=0.01)
    sideways = drive.rule(decision, "lateral_acceleration").value
    believed = 64.0 * 0.01 * lock / wheelbase
    configured = 64.0 * 0.01 * 0.61 / 2.6
    assert sideways == pytest.approx(believed if taken else configured, rel=1e-3)


@pytest.mark.parametrize("speed, state", [(0.09, "HOLD"), (0.1, "COMFORT_STOP"), (-0.09, "HOLD")])
def test_standing_is_slower_than_a_tenth_of_a_metre_per_second(make_drive, speed, state):
    drive = make_drive(speed=speed).nominal()
    drive.frame()
    assert drive.propose(accel=NAN).state is GateState[state]


def test_a_pause_reaches_a_gate_that_starts_over(drive):
    drive.take(Paused(True, drive.wall))
    drive.take(Odometry(10**9, drive.wall, 0.0, 0.0, 0.0, 0.0, 0.0))  # the clock went back
    assert at(drive, 200.0).state is GateState.WAITING and drive.sent[-1].stamp_ns != 10**9
    drive.take(Paused(False, drive.wall))
    assert at(drive, 200.25).command is None
    assert at(drive, 200.75).command is not None


def test_a_frame_within_a_millisecond_is_no_new_one_and_none_that_went_back(drive):
    count = len(drive.sent)
    for shift in (-1_000_000, 1_000_000):
        odometry = Odometry(drive.stamp + shift, drive.wall, drive.x, 0.0, 0.0, 8.0, 0.0)
        assert drive.take(odometry).state is GateState.NOMINAL
    assert at(drive, 100.2).command is None and len(drive.sent) == count
    earlier = Odometry(drive.stamp - 1_000_001, drive.wall, drive.x, 0.0, 0.0, 8.0, 0.0)
    assert drive.take(earlier).state is GateState.COMFORT_STOP
