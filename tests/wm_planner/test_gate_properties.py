"""Whatever comes in, only finite commands within limits come out: random, adversarial events."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wm_perception.frame import Command, Objects
from wm_planner.gate import Gate, GateDecision
from wm_planner.gate_events import (
    Event,
    Odometry,
    Paused,
    Proposal,
    RoadUsers,
    RouteKnown,
    Speed,
    Tick,
    VehicleInfo,
)
from wm_planner.gate_limits import MAX_STEP_S, MIN_STEP_S
from wm_planner.gate_state import GateState

FRAME_NS = 100_000_000

ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)
PEDAL = st.floats(-2.0, 2.0)
STAMP = st.one_of(st.just(0), st.just(0), st.integers(-3, 30))  # frames ahead of the newest
EVENT = st.one_of(
    st.tuples(st.just("proposal"), STAMP, ANY, ANY, st.booleans(), st.booleans()),
    st.tuples(st.just("proposal"), STAMP, PEDAL, PEDAL, st.just(True), st.just(False)),
    st.tuples(st.just("odometry"), st.integers(-3, 30), ANY, ANY, ANY, ANY),
    st.tuples(
        st.just("odometry"), st.just(1), st.floats(0, 3), PEDAL, st.floats(-20, 40), st.just(0.1)
    ),
    st.tuples(st.just("speed"), ANY),
    st.tuples(st.just("tick"), st.floats(0.0, 1.0)),
    st.tuples(st.just("paused"), st.booleans()),
    st.tuples(st.just("vehicle"), ANY, ANY),
    st.tuples(st.just("users"), STAMP, st.lists(ANY, min_size=7, max_size=7)),
    st.tuples(st.just("users"), STAMP, st.lists(st.floats(-30, 30), min_size=7, max_size=7)),
    st.tuples(st.just("route"), st.lists(st.tuples(ANY, ANY), max_size=4)),
    st.tuples(st.just("route"), st.lists(st.tuples(PEDAL, PEDAL), max_size=4)),
    st.tuples(st.just("route"), st.just([(-100.0, 0.0), (300.0, 5.0)])),
)
EVENTS = st.lists(EVENT, min_size=30, max_size=50)  # 40 in the mean


class Checker:
    """Builds events, feeds a gate, and holds it to what it promises."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.wall, self.stamp = 0.0, 10_000_000_000
        self.answered: set[int] = set()
        self.before: Command | None = None
        self.before_ns = 0

    def event(self, kind: str, values: tuple) -> Event:
        self.wall += 0.03
        match kind:
            case "proposal":
                ahead, steer, accel, feasible, stop = values
                stamp = self.stamp + ahead * FRAME_NS
                return Proposal(stamp, steer, accel, self.wall, stop, feasible)
            case "odometry":
                frames, x, yaw, speed, rate = values
                self.stamp += frames * FRAME_NS
                return Odometry(self.stamp, self.wall, x, 0.0, yaw, speed, rate)
            case "speed":
                return Speed(values[0], self.wall)
            case "tick":
                self.wall += values[0]
                return Tick(self.wall)
            case "paused":
                return Paused(values[0], self.wall)
            case "vehicle":
                return VehicleInfo(values[0], values[1], self.wall)
            case "users":
                row = np.array([values[1]], float)
                users = Objects(np.array([1]), row[:, :3], row[:, 3:5], np.abs(row[:, 5:]))
                return RoadUsers(self.stamp + values[0] * FRAME_NS, users, self.wall)
            case _:
                return RouteKnown(np.array(values[0], float).reshape(-1, 2), self.wall)

    def feed(self, kind: str, *values) -> None:
        event = self.event(kind, values)
        decision = self.gate.update(event)
        if decision.state is GateState.WAITING:
            self.answered.clear()
            self.before = None
        if decision.command is None:
            return
        self.check(event, decision, decision.command)
        self.answered.add(decision.stamp_ns)
        self.before, self.before_ns = decision.command, decision.stamp_ns

    def check(self, event: Event, decision: GateDecision, command: Command) -> None:
        assert math.isfinite(command.steer) and math.isfinite(command.accel)
        assert -1.0 <= command.steer <= 1.0 and -1.0 <= command.accel <= 1.0
        if decision.state is not GateState.NOMINAL:
            assert command.accel <= 0.0  # braking or rolling, never driving on
        else:
            assert decision.stamp_ns not in self.answered
            self.check_rate(decision, command)
        if isinstance(event, Proposal) and not event.is_finite:
            assert decision.state is not GateState.NOMINAL  # a NaN is never clamped

    def check_rate(self, decision: GateDecision, command: Command) -> None:
        if self.before is None:
            return
        step = (decision.stamp_ns - self.before_ns) * 1e-9
        step = min(MAX_STEP_S, max(MIN_STEP_S, step))
        widest = self.gate.config.limits.steer_rate_radps / 0.1  # the smallest lock it accepts
        assert abs(command.steer - self.before.steer) / step <= widest * (1 + 1e-6)


def check_all(events: list[tuple]) -> None:
    checker = Checker()
    for kind, *values in events:
        checker.feed(kind, *values)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(EVENTS)
def test_ten_thousand_hostile_events_bring_out_only_finite_commands_within_limits(events):
    check_all(events)


@pytest.mark.slow
@settings(
    max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(EVENTS)
def test_a_hundred_thousand_hostile_events_bring_out_only_finite_commands_within_limits(events):
    check_all(events)
