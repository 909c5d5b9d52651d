"""The safety gate's state machine: a pure function of the state and what was just seen.

    WAITING --good proposal--> NOMINAL --bad, asks for a stop--> COMFORT_STOP --still bad--.
                                  |  `--heartbeat, odometry, infeasible---------------.    |
                                  ^                                                   v    v
                                  `--5 or 20 good in a row-- HOLD <--standing-- EMERGENCY_STOP

Any manoeuvre ends after enough good proposals in a row, 20 if the planner asked for the stop. A
vehicle that was placed anew (new episode) starts with a new machine, WAITING.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntEnum

from wm_planner.gate_config import ManoeuvreConfig
from wm_planner.gate_events import Proposal


class GateState(IntEnum):
    """Numbered as in wm_msgs/SafetyState."""

    WAITING = 0
    NOMINAL = 1
    COMFORT_STOP = 2
    EMERGENCY_STOP = 3
    HOLD = 4


STOPPING = frozenset({GateState.COMFORT_STOP, GateState.EMERGENCY_STOP})
MANOEUVRE = STOPPING | {GateState.HOLD}


class Verdict(Enum):
    """What the gate makes of a proposal."""

    NONE = "none"  # there was none in this update
    GOOD = "good"
    LATE = "late"  # finite, but it took longer than the heartbeat
    BAD = "bad"  # not finite, or stamped in the future
    STOP = "stop"  # it asks for a stop itself
    INFEASIBLE = "infeasible"  # the planner found none that meets its own constraints


@dataclass(frozen=True)
class Seen:
    """What one update brings.

    Attributes:
        verdict: on the proposal, if there was one.
        problem: why the verdict is bad, or why the measurements cannot be used, or which rule asks
            for a stop; empty when there is nothing to say.
        heartbeat_lost: a frame waits for its proposal for too long.
        blind: the measurements are missing or not finite.
        uncomfortable: a rule that may stop the vehicle asks for a comfort stop.
        standing: the last valid measurement says that the vehicle stands.
    """

    verdict: Verdict = Verdict.NONE
    problem: str = ""
    heartbeat_lost: bool = False
    blind: bool = False
    uncomfortable: bool = False
    standing: bool = False


@dataclass(frozen=True)
class Machine:
    """State, the reason for it, and the streaks that decide on escalation and re-arming.

    Attributes:
        state, reason: see above.
        good_streak, bad_streak: proposals of that kind in a row.
        rearm: good ones in a row that it takes to become NOMINAL.
    """

    state: GateState = GateState.WAITING
    reason: str = "waiting for odometry and a first proposal"
    good_streak: int = 0
    bad_streak: int = 0
    rearm: int = 1


def verdict(proposal: Proposal) -> tuple[Verdict, str]:
    """On a finite proposal that came in time, and why it is not good."""
    if not proposal.feasible:
        return Verdict.INFEASIBLE, f"the planner found no feasible plan: {proposal.reason}"
    if proposal.stop_requested:
        return Verdict.STOP, f"the planner asks for a stop: {proposal.reason}"
    return Verdict.GOOD, ""


def interrupted(machine: Machine) -> Machine:
    """The proposals paused: a streak starts over."""
    return replace(machine, good_streak=0)


def update(machine: Machine, seen: Seen, config: ManoeuvreConfig) -> Machine:
    """The next state."""
    machine = _transition(_count(machine, seen), seen, config)
    if machine.state not in MANOEUVRE:
        return replace(machine, rearm=1)
    asked = seen.verdict is Verdict.STOP
    needed = config.rearm_after_request if asked else config.rearm_after
    machine = replace(machine, rearm=max(machine.rearm, needed))
    if seen.standing and not seen.blind:
        return replace(machine, state=GateState.HOLD)
    return machine


def _count(machine: Machine, seen: Seen) -> Machine:
    clean = not (seen.heartbeat_lost or seen.blind or seen.uncomfortable)
    if seen.verdict is Verdict.GOOD and clean:
        return replace(machine, good_streak=machine.good_streak + 1, bad_streak=0)
    if seen.verdict is Verdict.BAD:
        return replace(machine, good_streak=0, bad_streak=machine.bad_streak + 1)
    if seen.verdict is not Verdict.NONE or not clean:
        return replace(machine, good_streak=0)
    return machine


def _transition(machine: Machine, seen: Seen, config: ManoeuvreConfig) -> Machine:
    state = machine.state
    if seen.blind or seen.heartbeat_lost or seen.verdict is Verdict.INFEASIBLE:
        return _emergency(machine, seen)
    if seen.verdict in (Verdict.BAD, Verdict.STOP) or seen.uncomfortable:
        if state is GateState.NOMINAL or (state is GateState.WAITING and not seen.standing):
            return replace(machine, state=GateState.COMFORT_STOP, reason=seen.problem)
        if state is GateState.COMFORT_STOP and machine.bad_streak >= config.escalate_after:
            return replace(machine, state=GateState.EMERGENCY_STOP)
        return replace(machine, reason=seen.problem) if state is GateState.WAITING else machine
    if machine.good_streak >= machine.rearm:
        return replace(machine, state=GateState.NOMINAL, reason="")
    return machine


def _emergency(machine: Machine, seen: Seen) -> Machine:
    if machine.state is GateState.WAITING and seen.standing:
        return replace(machine, reason=seen.problem)
    if machine.state in (GateState.EMERGENCY_STOP, GateState.HOLD):
        return machine
    return replace(machine, state=GateState.EMERGENCY_STOP, reason=seen.problem)
