"""What a proposal says besides its numbers: it asks for a stop, or no plan is feasible."""

from __future__ import annotations

import pytest

from wm_planner.gate_state import GateState

NAN = float("nan")


def test_a_stop_that_the_planner_asks_for_is_gentle_and_needs_twenty_good_proposals(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    decision = drive.propose(accel=0.5, stop_requested=True, reason="never seen before")
    assert decision.state is GateState.COMFORT_STOP and "never seen before" in decision.reason
    assert -0.1 < decision.command.accel < 0.0
    for _ in range(40):
        drive.frame()
        drive.propose(stop_requested=True)
    assert drive.gate.state is GateState.COMFORT_STOP
    assert drive.sent[-1].command.accel == pytest.approx(-1.0 / 8.0)
    for k in range(20):
        drive.frame()
        assert (drive.propose().state is GateState.NOMINAL) == (k == 19)


def test_a_request_during_another_stop_needs_twenty_good_proposals_too(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.propose(accel=NAN)
    drive.frame()
    drive.propose(stop_requested=True)
    for k in range(20):
        drive.frame()
        assert (drive.propose().state is GateState.NOMINAL) == (k == 19)
    drive.frame()
    drive.propose(accel=NAN)
    for k in range(5):  # the next stop is an ordinary one again
        drive.frame()
        assert (drive.propose().state is GateState.NOMINAL) == (k == 4)


def test_without_a_feasible_plan_the_stop_is_firm_and_needs_five_feasible_ones(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.propose(steer=0.1)
    drive.frame()
    decision = drive.propose(steer=0.1, feasible=False, stop_requested=True, reason="walled in")
    assert decision.state is GateState.EMERGENCY_STOP and "walled in" in decision.reason
    assert decision.command.accel == pytest.approx(-0.15 / 8.0)
    assert decision.command.steer == pytest.approx(0.1)
    for k in range(5):
        drive.frame()
        assert (drive.propose().state is GateState.NOMINAL) == (k == 4)


def stopping(make_drive):
    """A drive whose planner has just asked for a stop."""
    drive = make_drive().nominal()
    drive.frame()
    assert drive.propose(stop_requested=True).state is GateState.COMFORT_STOP
    return drive


def test_a_planner_that_asks_for_a_stop_steers_until_it_stands(make_drive):
    drive = stopping(make_drive)
    pedals = []
    for steer in (0.02, 0.04, 0.06, 0.05):
        drive.frame()
        command = drive.propose(steer=steer, accel=0.9, stop_requested=True).command
        assert command.steer == pytest.approx(steer)
        pedals.append(command.accel)
    assert pedals == sorted(pedals, reverse=True) and pedals[0] < 0.0
    drive.frame()
    far = drive.propose(steer=1.0, stop_requested=True).command
    assert 0.05 < far.steer < 0.5  # within the limits of any command


def test_the_steering_of_a_silent_planner_fades(make_drive):
    drive = stopping(make_drive)
    drive.frame()
    assert drive.propose(steer=0.05, stop_requested=True).command.steer == pytest.approx(0.05)
    drive.frame()
    assert 0.04 < drive.tick_until_sent().command.steer < 0.05


def test_during_a_stop_the_planner_may_brake_harder_for_as_long_as_it_wants(make_drive):
    drive, other = stopping(make_drive), stopping(make_drive)
    for harder in (False, True, False):
        drive.frame()
        other.frame()
        gentle = other.propose(accel=0.0, stop_requested=True).command.accel
        found = drive.propose(accel=-0.5 if harder else 0.0, stop_requested=True).command.accel
        assert found == pytest.approx(-0.5 if harder else gentle)


def test_who_stands_after_a_stop_turns_no_wheel(make_drive):
    drive = stopping(make_drive)
    drive.speed = 0.0
    drive.frame()
    decision = drive.propose(steer=0.05, stop_requested=True)
    assert decision.state is GateState.HOLD and decision.command.steer == 0.0


def test_proposals_that_contradict_each_other_are_not_followed(make_drive):
    drive = make_drive().nominal()
    for _ in range(8):
        drive.frame()
        drive.propose(steer=0.05)
        drive.propose(steer=-0.05, delay=0.0)
    assert drive.gate.state is GateState.COMFORT_STOP
    before = drive.sent[-1].command.steer
    drive.frame()
    assert 0.0 < drive.propose(steer=0.05).command.steer < before


def test_a_waiting_gate_keeps_waiting_for_a_planner_that_asks_for_a_stop(make_drive):
    drive = make_drive(speed=0.0)
    drive.frame()
    decision = drive.propose(stop_requested=True, reason="no picture")
    assert decision.state is GateState.WAITING and "no picture" in decision.reason
    assert decision.command.accel < 0.0
    drive.frame()
    assert drive.propose().state is GateState.NOMINAL
