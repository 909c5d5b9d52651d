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
    assert 0.09 < decision.command.steer < 0.1
    for k in range(5):
        drive.frame()
        assert (drive.propose().state is GateState.NOMINAL) == (k == 4)


def test_a_waiting_gate_keeps_waiting_for_a_planner_that_asks_for_a_stop(make_drive):
    drive = make_drive(speed=0.0)
    drive.frame()
    decision = drive.propose(stop_requested=True, reason="no picture")
    assert decision.state is GateState.WAITING and "no picture" in decision.reason
    assert decision.command.accel < 0.0
    drive.frame()
    assert drive.propose().state is GateState.NOMINAL
