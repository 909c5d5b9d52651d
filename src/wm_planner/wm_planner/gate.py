"""The safety gate: every command to the vehicle passes here, and it depends on nothing learned.

Pure: events in (:mod:`wm_planner.gate_events`), decisions out, no clock and no ROS. The node
(:mod:`wm_planner.gate_node`) feeds it messages and timer ticks and publishes what it decides.

Every frame is answered with exactly one command. A good proposal is passed within limits; when
there is none, the minimal-risk manoeuvre answers. A number that is not finite is never clamped: it
starts the manoeuvre. Only a vehicle without odometry is sent more: the brake, again and again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from wm_perception.frame import Command
from wm_planner import gate_state
from wm_planner.gate_config import GateConfig
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
from wm_planner.gate_frames import STAMP_TOLERANCE_NS, FrameLedger
from wm_planner.gate_history import History
from wm_planner.gate_limits import limit_command, pedal
from wm_planner.gate_manoeuvre import brake_command
from wm_planner.gate_room import RoomWatch
from wm_planner.gate_rules import Rule
from wm_planner.gate_state import MANOEUVRE, STOPPING, GateState, Machine, Seen, Verdict

FIRST_STEP_S = 0.1  # assumed between frames before there were two
BLIND_PERIOD_S = 0.1  # without frames the brake command is repeated at this period
PLACED_MPS = 1.0  # a vehicle that was placed anew stands, or hardly rolls


@dataclass(frozen=True)
class GateDecision:
    """What the gate makes of one event.

    Attributes:
        command: to be sent now, or None when this event calls for none.
        stamp_ns: the frame ``command`` answers.
        state: of the gate after the event.
        reason: why it is not NOMINAL; empty when it is.
        rules: all rules with their latest values.
        interventions: proposals changed or replaced since the start, the last resort's included.
    """

    command: Command | None
    stamp_ns: int
    state: GateState
    reason: str
    rules: tuple[Rule, ...]
    interventions: int


class Gate:
    """Answers each frame with one safe command."""

    def __init__(self, config: GateConfig | None = None):
        self.config = config or GateConfig()
        self._vehicle = self.config.vehicle
        self._room = RoomWatch(self.config)
        self._speedometer: Speed | None = None
        self._interventions = 0
        self._command = Command()  # in force now
        self._forget("waiting for odometry and a first proposal", paused=False)

    def _forget(self, reason: str, paused: bool, moving: bool = False) -> None:
        """Start over: the vehicle was placed anew, or, while it moves, its measurements are off."""
        needed = self.config.manoeuvre.rearm_after
        stop = Machine(GateState.COMFORT_STOP, reason, rearm=needed)
        self._machine = stop if moving else Machine(reason=reason)
        self._frames = FrameLedger(paused)
        self._room.restart()
        self._room_rules: tuple[Rule, ...] = ()
        self._odometry: Odometry | None = None
        self._own_pedal: float | None = None  # of the manoeuvre, without whoever brakes harder
        if not moving:
            self._command = Command()
        self._command_ns: int | None = None
        self._command_wall_s = -math.inf
        self._history = History(self.config.limits)
        self._limit_rules: tuple[Rule, ...] = ()

    @property
    def state(self) -> GateState:
        """The state now."""
        return self._machine.state

    @property
    def speed_mps(self) -> float:
        """Measured forward speed: the speedometer's, or odometry's where it is silent."""
        odometry, speed = self._odometry, self._speedometer
        if odometry is None:
            return 0.0
        oldest_s = odometry.wall_s - self.config.timing.odometry_stop_s
        if speed is not None and speed.wall_s >= oldest_s:
            return speed.speed_mps
        return odometry.speed_mps

    def update(self, event: Event) -> GateDecision:
        """Take one event in; events must come in the order they happened."""
        match event:
            case Proposal():
                return self._on_proposal(event)
            case Odometry():
                return self._on_odometry(event)
            case Tick():
                return self._on_tick(event.wall_s)
            case Speed():
                self._on_speed(event)
            case Paused():
                self._frames.pause(event.paused, event.wall_s)
            case VehicleInfo():
                self._on_vehicle(event)
            case RoadUsers():
                self._room.see(event)
            case RouteKnown():
                self._room.know(event)
        return self._decide(event.wall_s)

    # ------------------------------------------------------------------ events

    def _on_proposal(self, proposal: Proposal) -> GateDecision:
        wall_s, stamp = proposal.wall_s, proposal.stamp_ns
        if self._odometry is None:
            return self._decide(wall_s)
        ahead_s = (stamp - self._frames.newest_ns) * 1e-9
        if not proposal.is_finite:
            return self._refuse("the proposal is not finite", wall_s)
        if ahead_s > self.config.timing.future_s:
            return self._refuse(f"the proposal is stamped {ahead_s:.1f} s in the future", wall_s)
        latency = self._frames.latency_s(stamp, wall_s)
        if self._history.is_repeated(proposal) or (latency is None and ahead_s <= 0.0):
            return self._decide(wall_s)  # of a frame that was answered, or that nobody knows
        return self._judge(proposal, latency or 0.0)

    def _refuse(self, problem: str, wall_s: float) -> GateDecision:
        self._advance(Verdict.BAD, problem=problem)
        return self._brake_unless_settled(self._frames.newest_ns, wall_s)

    def _judge(self, proposal: Proposal, latency_s: float) -> GateDecision:
        wall_s, stamp = proposal.wall_s, proposal.stamp_ns
        heartbeat_s = self.config.timing.heartbeat_s
        if self._history.silence_s(wall_s) > heartbeat_s:
            self._machine = gate_state.interrupted(self._machine)
        self._history.judged(proposal)
        if latency_s > heartbeat_s:
            self._advance(Verdict.LATE, problem=self._heartbeat_problem, heartbeat_lost=True)
            return self._brake_unless_settled(stamp, wall_s)
        wished = Command(proposal.steer, proposal.accel)
        limited = limit_command(
            self._with_room(wished),
            self._command,
            self.speed_mps,
            self._step_s(stamp),
            self.config.limits,
            self._vehicle,
        )
        self._limit_rules = limited.rules
        self._history.limited(stamp, limited.clamped and self.state is GateState.NOMINAL)
        verdict, problem = gate_state.verdict(proposal)
        persistent = self._history.problem
        self._advance(verdict, problem=problem or persistent, uncomfortable=bool(persistent))
        if self._frames.is_settled(stamp):
            return self._decide(wall_s)
        if self.state is not GateState.NOMINAL:
            return self._brake(stamp, wall_s, None if persistent else limited.command)
        self._interventions += limited.command != wished
        return self._send(limited.command, stamp, wall_s)

    def _on_odometry(self, odometry: Odometry) -> GateDecision:
        before, stamp, wall_s = self._odometry, odometry.stamp_ns, odometry.wall_s
        if not odometry.is_usable:
            return self._on_unusable_odometry(odometry)
        moving = abs(odometry.speed_mps) > PLACED_MPS
        if before is not None and stamp < self._frames.newest_ns - STAMP_TOLERANCE_NS:
            self._forget("the clock went back", self._frames.paused, moving)
        elif before is not None and odometry.is_jump_from(before):
            self._forget("the vehicle was placed anew", self._frames.paused, moving)
        self._odometry = odometry
        if self._frames.is_new(stamp):
            self._frames.arrive(stamp, wall_s)
        self._advance()
        return self._answer_if_due(wall_s)

    def _on_unusable_odometry(self, odometry: Odometry) -> GateDecision:
        """A frame came, but not a measurement: brake for it."""
        if self._odometry is None:
            return self._decide(odometry.wall_s)
        self._advance(blind=True, problem="odometry is not finite or not plausible")
        if not self._frames.is_new(odometry.stamp_ns):
            return self._decide(odometry.wall_s)
        self._frames.arrive(odometry.stamp_ns, odometry.wall_s)
        return self._brake(odometry.stamp_ns, odometry.wall_s)

    def _on_speed(self, speed: Speed) -> None:
        if speed.is_usable:
            self._speedometer = speed
            return
        self._speedometer = None
        if self._odometry is not None:
            self._advance(blind=True, problem="the speedometer is not finite or not plausible")

    def _on_tick(self, wall_s: float) -> GateDecision:
        timing, frames = self.config.timing, self._frames
        if frames.wait_s(wall_s) > timing.heartbeat_s:
            self._advance(heartbeat_lost=True, problem=self._heartbeat_problem)
            return self._brake(frames.newest_ns, wall_s)
        if frames.age_s(wall_s) > timing.odometry_stop_s:
            problem = f"no odometry for {timing.odometry_stop_s:g} s: is the source alive?"
            self._advance(blind=True, problem=problem)
            if self.state in MANOEUVRE and wall_s - self._command_wall_s >= BLIND_PERIOD_S:
                return self._brake(frames.newest_ns, wall_s)
        return self._answer_if_due(wall_s)

    def _on_vehicle(self, info: VehicleInfo) -> None:
        """A plausible steering limit and wheelbase replace the configured ones."""
        if 0.1 < info.max_steer_rad < 1.5 and 0.5 < info.wheelbase_m < 10.0:
            measured = {"max_steer_rad": info.max_steer_rad, "wheelbase_m": info.wheelbase_m}
            self._vehicle = self._vehicle.model_copy(update=measured)

    # ------------------------------------------------------------------ judgement

    def _advance(self, verdict: Verdict = Verdict.NONE, problem: str = "", **flags: bool) -> None:
        standing = abs(self.speed_mps) < self.config.manoeuvre.standstill_mps
        seen = Seen(verdict=verdict, problem=problem, standing=standing, **flags)
        self._machine = gate_state.update(self._machine, seen, self.config.manoeuvre)

    @property
    def _heartbeat_problem(self) -> str:
        seconds = self.config.timing.heartbeat_s
        return f"no proposal within {seconds:g} s of a frame: is the planner alive?"

    def _rules(self, wall_s: float) -> tuple[Rule, ...]:
        timing = self.config.timing
        wait, age = self._frames.wait_s(wall_s), self._frames.age_s(wall_s)
        return (
            *self._limit_rules,
            *self._history.rules,
            Rule("proposal_wait_s", wait, timing.heartbeat_s, wait > timing.heartbeat_s, "s"),
            Rule("odometry_age_s", age, timing.odometry_warn_s, age > timing.odometry_warn_s, "s"),
            *self._room_rules,
        )

    # ------------------------------------------------------------------ commands

    def _answer_if_due(self, wall_s: float) -> GateDecision:
        """During a manoeuvre, answer a frame once the planner had its chance."""
        due = self._frames.wait_s(wall_s) >= self.config.timing.manoeuvre_patience_s
        if self.state in MANOEUVRE and self._frames.has_open and due:
            return self._brake(self._frames.newest_ns, wall_s)
        return self._decide(wall_s)

    def _brake_unless_settled(self, stamp_ns: int, wall_s: float) -> GateDecision:
        if self._frames.is_settled(stamp_ns):
            return self._decide(wall_s)
        return self._brake(stamp_ns, wall_s)

    def _brake(self, stamp_ns: int, wall_s: float, followed: Command | None = None) -> GateDecision:
        """Answer a frame with the manoeuvre's brake, or with the hold of a waiting gate.

        While the planner lives, its steering keeps the vehicle in its lane until it stands
        (``followed``, within limits), and it may brake harder.
        """
        step_s = self._step_s(stamp_ns) or wall_s - self._command_wall_s
        self._interventions += self.state in MANOEUVRE
        before = self._command
        if self._own_pedal is not None:
            before = replace(before, accel=self._own_pedal)
        command = brake_command(self.state, before, step_s, self.config.manoeuvre, self._vehicle)
        own_pedal = command.accel
        if followed is not None and self.state in STOPPING:
            command = Command(followed.steer, min(command.accel, followed.accel))
        return self._send(self._with_room(command), stamp_ns, wall_s, own_pedal)

    def _with_room(self, command: Command) -> Command:
        """The command, with the braking that the room ahead calls for."""
        room = self._room.judge(self._odometry, self.speed_mps)
        self._room_rules = room.rules
        if not room.braking_mps2:
            return command
        return replace(command, accel=min(command.accel, pedal(-room.braking_mps2, self._vehicle)))

    def _step_s(self, stamp_ns: int) -> float:
        """Simulated seconds from the command in force to the frame ``stamp_ns``."""
        if self._command_ns is None:
            return FIRST_STEP_S
        return (stamp_ns - self._command_ns) * 1e-9

    def _send(
        self, command: Command, stamp_ns: int, wall_s: float, own_pedal: float | None = None
    ) -> GateDecision:
        self._command, self._command_ns, self._command_wall_s = command, stamp_ns, wall_s
        self._own_pedal = own_pedal
        self._frames.settle(stamp_ns, wall_s)
        return self._decide(wall_s, command, stamp_ns)

    def _decide(
        self, wall_s: float, command: Command | None = None, stamp_ns: int = 0
    ) -> GateDecision:
        now, rules = self._machine, self._rules(wall_s)
        return GateDecision(command, stamp_ns, now.state, now.reason, rules, self._interventions)
