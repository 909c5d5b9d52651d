"""The safety gate: one answer per frame, limits, manoeuvres, re-arming."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.gate import Gate, GateDecision
from wm_planner.gate_config import GateConfig, LimitsConfig, RssConfig, TimingConfig
from wm_planner.gate_events import Ahead, Odometry, Paused, Proposal, Speed, Tick, VehicleInfo
from wm_planner.gate_limits import lateral_acceleration
from wm_planner.gate_rss import Gap
from wm_planner.gate_state import GateState

FRAME_NS = 100_000_000
NAN, INF = float("nan"), float("inf")


class Drive:
    """Feeds a gate a vehicle that drives straight at a given speed, frame by frame."""

    def __init__(self, config: GateConfig | None = None, speed: float = 8.0):
        self.gate = Gate(config)
        self.speed = speed
        self.wall = 100.0
        self.stamp = 5_000_000_000
        self.x = 0.0
        self.sent: list[GateDecision] = []

    def take(self, event) -> GateDecision:
        decision = self.gate.update(event)
        if decision.command is not None:
            self.sent.append(decision)
        return decision

    def frame(self, wall_step: float = 0.02, speed: float | None = None) -> GateDecision:
        self.wall += wall_step
        self.stamp += FRAME_NS
        self.x += self.speed * 0.1
        return self.take(self.odometry(self.speed if speed is None else speed))

    def odometry(self, speed: float) -> Odometry:
        return Odometry(self.stamp, self.wall, self.x, 0.0, 0.0, speed, 0.0)

    def propose(self, steer=0.0, accel=0.1, delay: float = 0.05) -> GateDecision:
        self.wall += delay
        return self.take(Proposal(self.stamp, steer, accel, self.wall))

    def tick(self, delay: float = 0.02) -> GateDecision:
        self.wall += delay
        return self.take(Tick(self.wall))

    def tick_until_sent(self, limit_s: float = 2.0) -> GateDecision:
        end, before = self.wall + limit_s, len(self.sent)
        while len(self.sent) == before:
            assert self.wall < end, "the gate never answered"
            self.tick()
        return self.sent[-1]

    def nominal(self, frames: int = 3) -> Drive:
        for _ in range(frames):
            self.frame()
            self.propose()
        assert self.gate.state is GateState.NOMINAL
        return self


def test_passes_a_good_proposal_unchanged_and_stamps_the_frame():
    drive = Drive().nominal()
    drive.frame()
    decision = drive.propose(steer=0.05, accel=0.3)
    assert (decision.command.steer, decision.command.accel) == (0.05, 0.3)
    assert decision.stamp_ns == drive.stamp
    assert decision.state is GateState.NOMINAL and decision.reason == ""
    assert decision.interventions == 0


def test_every_frame_gets_exactly_one_command():
    drive = Drive()
    for _ in range(30):
        drive.frame()
        drive.propose()
        drive.propose(delay=0.001)  # a second planner, or a repeated message
        drive.tick()
    stamps = [decision.stamp_ns for decision in drive.sent]
    assert len(stamps) == 30 and len(set(stamps)) == 30


def test_stamps_may_be_a_nanosecond_off():
    drive = Drive().nominal()
    drive.frame()
    drive.take(Proposal(drive.stamp - 1, 0.0, 0.1, drive.wall + 0.05))
    assert drive.sent[-1].state is GateState.NOMINAL
    assert len(drive.sent) == 4


def test_a_proposal_that_overtakes_its_odometry_is_answered_once():
    drive = Drive().nominal()
    drive.take(Proposal(drive.stamp + FRAME_NS, 0.0, 0.2, drive.wall + 0.01))
    assert drive.sent[-1].stamp_ns == drive.stamp + FRAME_NS
    count = len(drive.sent)
    drive.frame()
    drive.tick()
    assert len(drive.sent) == count


# ---------------------------------------------------------------------- waiting


def test_waits_with_the_brake_until_the_first_proposal():
    drive = Drive(speed=0.0)
    drive.frame()
    assert drive.tick(0.4).command is None
    held = drive.tick_until_sent()
    assert held.state is GateState.WAITING and held.command.accel < -0.1
    assert held.interventions == 0
    drive.frame()
    assert drive.propose(accel=0.5).state is GateState.NOMINAL


def test_the_first_command_is_not_held_back():
    drive = Drive(speed=0.0)
    drive.frame()
    decision = drive.propose(steer=0.1, accel=0.6)
    assert (decision.command.steer, decision.command.accel) == (0.1, 0.6)


def test_ignores_proposals_before_any_odometry():
    drive = Drive()
    assert drive.propose().command is None
    assert drive.gate.state is GateState.WAITING


# ---------------------------------------------------------------------- heartbeat


def test_killed_planner_brakes_within_half_a_second_and_stops_the_car():
    drive = Drive(speed=8.0).nominal()
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


def test_no_heartbeat_is_expected_while_paused():
    drive = Drive().nominal()
    drive.frame()
    drive.take(Paused(True, drive.wall))
    for _ in range(20):
        assert drive.tick(0.5).state is GateState.NOMINAL
    drive.take(Paused(False, drive.wall))
    assert drive.tick(0.3).state is GateState.NOMINAL
    assert drive.propose().state is GateState.NOMINAL
    drive.frame()
    assert drive.tick(0.6).state is GateState.EMERGENCY_STOP


def test_a_proposal_later_than_the_heartbeat_does_not_drive():
    drive = Drive().nominal()
    drive.frame()
    decision = drive.propose(accel=1.0, delay=0.7)
    assert decision.state is GateState.EMERGENCY_STOP and decision.command.accel < 0.0


def test_rearms_after_five_good_proposals_in_a_row():
    drive = Drive().nominal()
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


def test_sparse_proposals_do_not_rearm():
    drive = Drive().nominal()
    drive.frame()
    drive.tick_until_sent()
    for _ in range(12):
        for _ in range(8):
            drive.frame()
            drive.tick_until_sent(0.3)
        drive.frame()
        drive.propose()
    assert drive.gate.state is GateState.EMERGENCY_STOP


def test_proposals_that_come_after_the_brake_still_count_for_rearming():
    config = GateConfig(timing=TimingConfig(manoeuvre_patience_s=0.0))
    drive = Drive(config).nominal()
    drive.frame()
    drive.tick_until_sent()
    for _ in range(5):
        assert drive.frame().command.accel < 0.0  # answered at once ...
        assert drive.propose().command is None  # ... so the proposal must not be a second answer
    assert drive.gate.state is GateState.NOMINAL


# ---------------------------------------------------------------------- bad numbers


@pytest.mark.parametrize("steer, accel", [(NAN, 0.1), (0.0, NAN), (INF, 0.0), (0.0, -INF)])
def test_a_proposal_that_is_not_finite_brakes_and_is_never_clamped(steer, accel):
    drive = Drive().nominal()
    drive.frame()
    decision = drive.propose(steer, accel)
    assert decision.state is GateState.COMFORT_STOP
    assert math.isfinite(decision.command.steer) and -0.1 < decision.command.accel < 0.0
    for _ in range(3):
        drive.frame()
        decision = drive.propose(steer, accel)
    assert decision.state is GateState.EMERGENCY_STOP


@pytest.mark.parametrize("speed", [NAN, INF, 1e9])
def test_bad_odometry_brakes_and_later_recovers(speed):
    drive = Drive().nominal()
    decision = drive.frame(speed=speed)
    assert decision.state is GateState.EMERGENCY_STOP and decision.command.accel < 0.0
    assert drive.propose(accel=1.0).command is None  # the frame was answered
    for _ in range(5):
        drive.frame()
        drive.propose()
    assert drive.gate.state is GateState.NOMINAL


def test_bad_speedometer_brakes():
    drive = Drive().nominal()
    drive.take(Speed(NAN, drive.wall))
    drive.frame()
    assert drive.propose(accel=1.0).command.accel < 0.0
    assert drive.gate.state is GateState.EMERGENCY_STOP


def test_a_proposal_from_the_future_brakes_and_does_not_silence_the_gate():
    drive = Drive().nominal()
    drive.frame()
    future = drive.take(Proposal(drive.stamp + 10**12, 0.0, 1.0, drive.wall + 0.01))
    assert future.state is GateState.COMFORT_STOP and future.command.accel < 0.0
    assert "future" in future.reason
    for _ in range(5):
        drive.frame()
        drive.propose()
    assert drive.gate.state is GateState.NOMINAL


# ---------------------------------------------------------------------- odometry


def test_stale_odometry_is_reported_then_braked_on_again_and_again():
    drive = Drive().nominal()
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


def test_lockstep_waiting_for_the_gate_is_not_stale():
    drive = Drive().nominal()
    drive.frame()
    drive.propose(delay=0.4)  # the simulator stood still meanwhile
    assert drive.tick(0.1).state is GateState.NOMINAL


@pytest.mark.parametrize("back", [True, False])
def test_a_new_episode_starts_over(back):
    drive = Drive().nominal()
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


# ---------------------------------------------------------------------- limits


def test_a_jump_in_steering_is_slowed_down_and_counted():
    drive = Drive(speed=1.0).nominal()
    drive.frame()
    decision = drive.propose(steer=1.0)
    vehicle, limits = drive.gate.config.vehicle, drive.gate.config.limits
    assert decision.command.steer == pytest.approx(
        limits.steer_rate_radps * 0.1 / vehicle.max_steer_rad
    )
    assert decision.interventions == 1 and decision.state is GateState.NOMINAL


def test_steering_at_speed_is_limited_by_lateral_acceleration():
    drive = Drive(speed=15.0).nominal()
    for _ in range(20):
        drive.frame()
        decision = drive.propose(steer=0.8)
    limit = drive.gate.config.limits.lateral_acceleration_mps2
    given = lateral_acceleration(decision.command.steer, 15.0, drive.gate.config.vehicle)
    assert given == pytest.approx(limit, rel=1e-6)
    assert next(r for r in decision.rules if r.name == "lateral_acceleration").tripped


def test_braking_is_never_delayed_by_more_than_a_frame():
    drive = Drive().nominal()
    drive.frame()
    drive.propose(accel=0.2)
    drive.frame()
    drive.propose(accel=-1.0)
    drive.frame()
    assert drive.propose(accel=-1.0).command.accel == -1.0


def test_persistent_clamping_is_reported_and_stops_only_when_asked_to():
    for stops in (False, True):
        config = GateConfig(limits=LimitsConfig(persistent_stops=stops))
        drive = Drive(config, speed=1.0).nominal()
        for k in range(8):
            drive.frame()
            decision = drive.propose(steer=1.0 if k % 2 else -1.0)
        rule = next(r for r in decision.rules if r.name == "persistent_clamping")
        assert rule.tripped
        assert (decision.state is GateState.NOMINAL) != stops


def test_vehicle_info_changes_the_geometry_unless_it_is_nonsense():
    drive = Drive(speed=1.0).nominal()
    drive.take(VehicleInfo(NAN, 2.9, drive.wall))
    drive.take(VehicleInfo(1.22, 2.9, drive.wall))
    drive.frame()
    assert drive.propose(steer=1.0).command.steer == pytest.approx(0.15 / 1.22)


def test_rss_is_reported_and_stops_only_when_asked_to():
    for stops in (False, True):
        drive = Drive(GateConfig(rss=RssConfig(stops=stops)), speed=10.0).nominal()
        drive.take(Ahead(Gap(5.0, 10.0), drive.wall))
        drive.frame()
        decision = drive.propose()
        rule = next(r for r in decision.rules if r.name == "rss_longitudinal")
        assert rule.tripped and rule.limit == pytest.approx(28.28125)
        expected = GateState.EMERGENCY_STOP if stops else GateState.NOMINAL
        assert decision.state is expected


# ---------------------------------------------------------------------- properties

ANY = st.floats(allow_nan=True, allow_infinity=True)
STEP = st.floats(-2.0, 2.0)
EVENT = st.one_of(
    st.tuples(st.just("proposal"), st.integers(-3, 30), ANY, ANY),
    st.tuples(st.just("proposal"), st.just(0), st.floats(-2, 2), st.floats(-2, 2)),
    st.tuples(st.just("odometry"), st.integers(-3, 30), ANY, ANY),
    st.tuples(st.just("odometry"), st.just(1), st.floats(0, 20), st.just(0.0)),
    st.tuples(st.just("speed"), ANY),
    st.tuples(st.just("tick"), st.floats(0.0, 1.0)),
    st.tuples(st.just("paused"), st.booleans()),
    st.tuples(st.just("vehicle"), ANY, ANY),
    st.tuples(st.just("ahead"), ANY, ANY),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(EVENT, min_size=20, max_size=60))
def test_whatever_comes_in_only_finite_commands_within_limits_come_out(events):
    """About 250 x 40 events, most of them with hostile floats."""
    gate, wall, stamp = Gate(), 0.0, 10_000_000_000
    answered: set[int] = set()
    before, before_ns = None, 0
    for kind, *values in events:
        wall += 0.03
        if kind == "proposal":
            event = Proposal(stamp + values[0] * FRAME_NS, values[1], values[2], wall)
        elif kind == "odometry":
            stamp += values[0] * FRAME_NS
            event = Odometry(stamp, wall, values[2], 0.0, 0.0, values[1], 0.0)
        elif kind == "speed":
            event = Speed(values[0], wall)
        elif kind == "tick":
            wall += values[0]
            event = Tick(wall)
        elif kind == "paused":
            event = Paused(values[0], wall)
        elif kind == "vehicle":
            event = VehicleInfo(values[0], values[1], wall)
        else:
            event = Ahead(Gap(values[0], values[1]), wall)
        decision = gate.update(event)
        if decision.state is GateState.WAITING:
            answered.clear()
            before = None
        command = decision.command
        if command is None:
            continue
        assert math.isfinite(command.steer) and math.isfinite(command.accel)
        assert -1.0 <= command.steer <= 1.0 and -1.0 <= command.accel <= 1.0
        if decision.state is GateState.NOMINAL:
            assert decision.stamp_ns not in answered
            if before is not None:
                step = min(0.5, max(0.02, (decision.stamp_ns - before_ns) * 1e-9))
                rate = abs(command.steer - before.steer) / step
                widest = gate.config.limits.steer_rate_radps / 0.1  # smallest accepted lock
                assert rate <= widest * (1 + 1e-6)
        else:
            assert command.accel <= 0.0
        answered.add(decision.stamp_ns)
        before, before_ns = command, decision.stamp_ns
