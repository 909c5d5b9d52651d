"""The gate's state machine by itself: one update at a time."""

from __future__ import annotations

import pytest

from wm_msgs.msg import SafetyState
from wm_planner.gate_config import ManoeuvreConfig
from wm_planner.gate_state import GateState, Machine, Seen, Verdict, update

CONFIG = ManoeuvreConfig()
GOOD, BAD = Seen(Verdict.GOOD), Seen(Verdict.BAD, "not finite")


def after(machine: Machine, *seen: Seen) -> Machine:
    """The state after these updates."""
    for one in seen:
        machine = update(machine, one, CONFIG)
    return machine


def test_states_are_numbered_as_in_the_message():
    assert {state.name: state.value for state in GateState} == {
        name: getattr(SafetyState, name) for name in GateState.__members__
    }


def test_a_fresh_machine_waits_and_one_good_proposal_is_enough():
    fresh = Machine()
    assert (fresh.state, fresh.good_streak, fresh.bad_streak) == (GateState.WAITING, 0, 0)
    assert not Seen().standing
    assert after(fresh, GOOD).state is GateState.NOMINAL


@pytest.mark.parametrize("standing", [False, True])
def test_blind_while_driving_is_an_emergency_even_if_it_stood_last(standing):
    driving = after(Machine(), GOOD)
    blind = Seen(blind=True, problem="no odometry", standing=standing)
    assert after(driving, blind).state is GateState.EMERGENCY_STOP
    waiting = after(Machine(), blind)
    expected = GateState.WAITING if standing else GateState.EMERGENCY_STOP
    assert (waiting.state, waiting.reason) == (expected, "no odometry")


def test_so_many_bad_proposals_and_not_one_less_make_it_an_emergency():
    driving = after(Machine(), GOOD)
    almost = after(driving, *[BAD] * (CONFIG.escalate_after - 1))
    assert almost.state is GateState.COMFORT_STOP
    assert after(almost, BAD).state is GateState.EMERGENCY_STOP


def test_what_is_not_clean_starts_the_good_streak_over():
    stopped = after(Machine(), GOOD, BAD)
    almost = after(stopped, *[GOOD] * (CONFIG.rearm_after - 1))
    assert almost.state is GateState.COMFORT_STOP
    assert after(almost, GOOD).state is GateState.NOMINAL
    for unclean in (BAD, Seen(Verdict.LATE), Seen(Verdict.GOOD, uncomfortable=True)):
        again = after(almost, unclean, *[GOOD] * (CONFIG.rearm_after - 1))
        assert again.state is GateState.COMFORT_STOP
        assert after(again, GOOD).state is GateState.NOMINAL
