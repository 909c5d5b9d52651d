"""The safety gate: one answer per frame, heartbeat, bad numbers, re-arming."""

from __future__ import annotations

import math

import pytest

from wm_planner.gate_config import GateConfig, TimingConfig
from wm_planner.gate_events import Paused, Proposal, Speed
from wm_planner.gate_state import GateState

FRAME_NS = 100_000_000
NAN, INF = float("nan"), float("inf")


def test_passes_a_good_proposal_unchanged_and_stamps_the_frame(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    decision = drive.propose(steer=0.05, accel=0.3)
    assert (decision.command.steer, decision.command.accel) == (0.05, 0.3)
    assert decision.stamp_ns == drive.stamp
    assert decision.state is GateState.NOMINAL and decision.reason == ""
    assert decision.interventions == 0


def test_every_frame_gets_exactly_one_command(make_drive):
    drive = make_drive()
    for _ in range(30):
        drive.frame()
        drive.propose()
        drive.propose(delay=0.001)  # a second planner, or a repeated message
        drive.tick()
    stamps = [decision.stamp_ns for decision in drive.sent]
    assert len(stamps) == 30 and len(set(stamps)) == 30


def test_stamps_may_be_a_nanosecond_off(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.take(Proposal(drive.stamp - 1, 0.0, 0.1, drive.wall + 0.05))
    assert drive.sent[-1].state is GateState.NOMINAL
    assert len(drive.sent) == 4


def test_a_proposal_that_overtakes_its_odometry_is_answered_once(make_drive):
    drive = make_drive().nominal()
    drive.take(Proposal(drive.stamp + FRAME_NS, 0.0, 0.2, drive.wall + 0.01))
    assert drive.sent[-1].stamp_ns == drive.stamp + FRAME_NS
    count = len(drive.sent)
    drive.frame()
    drive.tick()
    assert len(drive.sent) == count


# ---------------------------------------------------------------------- waiting


def test_waits_with_the_brake_until_the_first_proposal(make_drive):
    drive = make_drive(speed=0.0)
    drive.frame()
    assert drive.tick(0.4).command is None
    held = drive.tick_until_sent()
    assert held.state is GateState.WAITING and held.command.accel < -0.1
    assert held.interventions == 0
    drive.frame()
    assert drive.propose(accel=0.5).state is GateState.NOMINAL


def test_the_first_command_is_not_held_back(make_drive):
    drive = make_drive(speed=0.0)
    drive.frame()
    decision = drive.propose(steer=0.1, accel=0.6)
    assert (decision.command.steer, decision.command.accel) == (0.1, 0.6)


def test_ignores_proposals_before_any_odometry(make_drive):
    drive = make_drive()
    assert drive.propose().command is None
    assert drive.gate.state is GateState.WAITING


# ---------------------------------------------------------------------- heartbeat


def test_killed_planner_brakes_within_half_a_second_and_stops_the_car(make_drive):
    drive = make_drive(speed=8.0).nominal()
    drive.frame()
    frame_wall = drive.wall
    first = drive.tick_until_sent()
    assert drive.wall - frame_wall <= 0.5
    assert first.state is GateState.EMERGENCY_STOP and first.command.accel < 0.0
    assert "planner" in first.reason
    while drive.gate.state is not GateState.HOLD:
        # A lockstep simulator: it moves only when it was answered.
        drive.speed = max(0.0, drive.speed + drive.sent[-1].command.accel * 8.0 * 0.1)
        drive.frame()
        drive.tick_until_sent(0.2)
        assert len(drive.sent) < 200
    assert drive.sent[-1].command.accel < 0.0


def test_no_heartbeat_is_expected_while_paused(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.take(Paused(True, drive.wall))
    for _ in range(20):
        assert drive.tick(0.5).state is GateState.NOMINAL
    drive.take(Paused(False, drive.wall))
    assert drive.tick(0.3).state is GateState.NOMINAL
    assert drive.propose().state is GateState.NOMINAL
    drive.frame()
    assert drive.tick(0.6).state is GateState.EMERGENCY_STOP


def test_a_proposal_later_than_the_heartbeat_does_not_drive(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    decision = drive.propose(accel=1.0, delay=0.7)
    assert decision.state is GateState.EMERGENCY_STOP and decision.command.accel < 0.0


def test_rearms_after_five_good_proposals_in_a_row(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.tick_until_sent()
    for _ in range(4):
        drive.frame()
        assert drive.propose(accel=0.5).command.accel < 0.0
    drive.frame()
    assert drive.propose(accel=NAN).state is GateState.EMERGENCY_STOP
    for k in range(5):
        drive.frame()
        assert (drive.propose(accel=0.5).state is GateState.NOMINAL) == (k == 4)


def test_sparse_proposals_do_not_rearm(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.tick_until_sent()
    for _ in range(12):
        for _ in range(8):
            drive.frame()
            drive.tick_until_sent(0.3)
        drive.frame()
        drive.propose()
    assert drive.gate.state is GateState.EMERGENCY_STOP


def test_proposals_that_come_after_the_brake_still_count_for_rearming(make_drive):
    config = GateConfig(timing=TimingConfig(manoeuvre_patience_s=0.0))
    drive = make_drive(config).nominal()
    drive.frame()
    drive.tick_until_sent()
    for _ in range(5):
        assert drive.frame().command.accel < 0.0  # answered at once ...
        assert drive.propose().command is None  # ... so the proposal must not be a second answer
    assert drive.gate.state is GateState.NOMINAL


# ---------------------------------------------------------------------- bad numbers


@pytest.mark.parametrize("steer, accel", [(NAN, 0.1), (0.0, NAN), (INF, 0.0), (0.0, -INF)])
def test_a_proposal_that_is_not_finite_brakes_and_is_never_clamped(make_drive, steer, accel):
    drive = make_drive().nominal()
    drive.frame()
    decision = drive.propose(steer, accel)
    assert decision.state is GateState.COMFORT_STOP
    assert math.isfinite(decision.command.steer) and -0.1 < decision.command.accel < 0.0
    for _ in range(3):
        drive.frame()
        decision = drive.propose(steer, accel)
    assert decision.state is GateState.EMERGENCY_STOP


@pytest.mark.parametrize("speed", [NAN, INF, 1e9])
def test_bad_odometry_brakes_and_later_recovers(make_drive, speed):
    drive = make_drive().nominal()
    decision = drive.frame(speed=speed)
    assert decision.state is GateState.EMERGENCY_STOP and decision.command.accel < 0.0
    assert drive.propose(accel=1.0).command is None  # the frame was answered
    for _ in range(5):
        drive.frame()
        drive.propose()
    assert drive.gate.state is GateState.NOMINAL


def test_bad_odometry_before_any_good_one_says_nothing(make_drive):
    drive = make_drive()
    assert drive.frame(speed=NAN).command is None
    assert drive.gate.state is GateState.WAITING


def test_bad_odometry_of_an_answered_frame_is_no_second_answer(make_drive):
    drive = make_drive().nominal()
    decision = drive.take(drive.odometry(NAN))
    assert decision.command is None and decision.state is GateState.EMERGENCY_STOP


def test_bad_speedometer_brakes(make_drive):
    drive = make_drive().nominal()
    drive.take(Speed(NAN, drive.wall))
    drive.frame()
    assert drive.propose(accel=1.0).command.accel < 0.0
    assert drive.gate.state is GateState.EMERGENCY_STOP


def test_a_proposal_from_the_future_brakes_and_does_not_silence_the_gate(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    future = drive.take(Proposal(drive.stamp + 10**12, 0.0, 1.0, drive.wall + 0.01))
    assert future.state is GateState.COMFORT_STOP and future.command.accel < 0.0
    assert "future" in future.reason
    for _ in range(5):
        drive.frame()
        drive.propose()
    assert drive.gate.state is GateState.NOMINAL


# ---------------------------------------------------------------------- odometry


def test_stale_odometry_is_reported_then_braked_on_again_and_again(make_drive):
    drive = make_drive().nominal()
    warned = drive.tick(0.25)
    assert next(rule for rule in warned.rules if rule.name == "odometry_age_s").tripped
    assert warned.state is GateState.NOMINAL
    drive.tick_until_sent()
    assert drive.gate.state is GateState.EMERGENCY_STOP
    first = drive.sent[-1].command.accel
    for _ in range(10):
        drive.tick_until_sent(0.2)
    assert drive.sent[-1].command.accel < first < 0.0
    assert "odometry" in drive.sent[-1].reason


def test_lockstep_waiting_for_the_gate_is_not_stale(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.propose(delay=0.4)  # the simulator stood still meanwhile
    assert drive.tick(0.1).state is GateState.NOMINAL


@pytest.mark.parametrize("back", [True, False])
def test_a_new_episode_starts_over(make_drive, back):
    drive = make_drive().nominal()
    drive.frame()
    drive.tick_until_sent()
    assert drive.gate.state is GateState.EMERGENCY_STOP
    drive.speed = 0.0
    if back:
        drive.stamp = 1_000_000_000
    else:
        drive.x += 200.0
    assert drive.frame().state is GateState.WAITING
    assert drive.propose(accel=0.4).state is GateState.NOMINAL


@pytest.mark.parametrize("back", [True, False])
def test_measurements_that_jump_while_driving_stop_the_car_until_five_good_proposals(
    make_drive, back
):
    drive = make_drive(speed=8.0).nominal()
    drive.frame()
    drive.propose(steer=0.1)
    if back:
        drive.stamp = 1_000_000_000
    else:
        drive.x += 8.0 * 0.1 + 1.2
    assert drive.frame().state is GateState.COMFORT_STOP
    first = drive.propose(steer=0.1, accel=0.5).command
    assert -0.1 < first.accel < 0.0
    assert first.steer == pytest.approx(0.1)  # it does not snap to straight ahead
    for k in range(4):
        drive.frame()
        assert (drive.propose().state is GateState.NOMINAL) == (k == 3)


def test_a_pose_may_move_as_fast_as_it_drives_and_a_metre(make_drive):
    drive = make_drive(speed=8.0).nominal()
    drive.x += 0.9
    assert drive.frame().state is GateState.NOMINAL


@pytest.mark.parametrize("speed, placed", [(0.9, True), (1.1, False), (-1.1, False)])
def test_who_hardly_rolls_after_a_jump_was_placed_anew(make_drive, speed, placed):
    drive = make_drive().nominal()
    drive.x += 100.0
    expected = GateState.WAITING if placed else GateState.COMFORT_STOP
    assert drive.frame(speed=speed).state is expected


# ---------------------------------------------------------------------- speed


def test_the_speedometer_goes_before_odometry_until_it_falls_silent(make_drive):
    drive = make_drive(speed=8.0).nominal()
    drive.take(Speed(7.0, drive.wall))
    assert drive.gate.speed_mps == 7.0
    drive.frame(wall_step=0.3)
    assert drive.gate.speed_mps == 7.0
    drive.frame(wall_step=0.15)
    assert drive.gate.speed_mps == 8.0


def test_without_odometry_there_is_no_speed(make_drive):
    drive = make_drive()
    drive.take(Speed(7.0, drive.wall))
    assert drive.gate.speed_mps == 0.0
