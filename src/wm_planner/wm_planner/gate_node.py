"""ROS node: the safety gate between the planner's proposals and the vehicle.

A thin shell over :class:`wm_planner.gate.Gate`; it imports nothing learned and runs in its own
process, so that it outlives whatever happens to the planner.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Mapping

import numpy as np
from carla_msgs.msg import CarlaEgoVehicleControl
from rclpy.duration import Duration

from wm_msgs.msg import SafetyRule, SafetyState
from wm_perception import messages
from wm_perception.conventions import to_vehicle_control, yaw_from_quaternion
from wm_perception.endpoints import Essential
from wm_perception.latency import Latencies, Sent
from wm_perception.lifecycle import ManagedNode
from wm_perception.node_tools import (
    header,
    publisher,
    run,
    sent_time_ns,
    steady_timer,
    subscription,
)
from wm_perception.topics import topic
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
from wm_planner.gate_state import MANOEUVRE, GateState
from wm_planner.node_config import GateNodeConfig
from wm_planner.parameters import node_parameters

ESSENTIAL = Essential(inputs=("odometry", "control_proposal"), outputs=("vehicle_control_cmd",))
TICK_S = 0.02
# After a stall of the gate itself, messages that wait in the queue are looked at before the clock.
STALL_S = 0.1
LAST_WORD_S = 0.5  # longest wait for the vehicle to take the last brake command
FLOAT32_MAX = 3.0e38
# City traffic trips these all day: they are in /wm/safety_state, but nothing to warn of.
REPORTED_ONLY = ("rss_same_direction", "rss_opposite_direction", "rss_lateral")


class GateNode:
    """Topics in, gate, topics out: the work of a managed node."""

    def __init__(self, host: ManagedNode):
        """Read the limits and open the topics.

        Raises:
            UserError: a parameter cannot be used.
        """
        self._host, self.node = host, host.node
        self.config = config = node_parameters(self.node, GateNodeConfig)
        self.role = role = config.role_name
        self._log = self.node.get_logger()
        # Both are latched, so they come only once.
        self._vehicle: VehicleInfo | None = None
        self._route: RouteKnown | None = None
        self._paused = False
        self._problems: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._latency = Latencies()
        self._sensed, self._proposed = Sent(), Sent()  # by frame
        self._odometry_topic = topic("odometry").name(role)
        self._commands = publisher(self.node, "vehicle_control_cmd", role)
        self._states = publisher(self.node, "safety_state", role)
        self._begin()
        for key, callback in (
            ("status", self._on_status),
            ("vehicle_info", self._on_vehicle_info),
            ("waypoints", self._on_waypoints),
            ("ego_objects", self._on_objects),
            ("speedometer", self._on_speedometer),
            ("odometry", self._on_odometry),
            ("control_proposal", self._on_proposal),
        ):
            subscription(self.node, key, role, callback)
        steady_timer(self.node, TICK_S, self._on_tick)
        self._log.info(f"ready, guarding {self._commands.topic_name}")

    def _begin(self) -> None:
        """A gate that has seen nothing yet."""
        self._gate = Gate(self.config)
        self._odometry: Odometry | None = None
        self._state, self._reason = GateState.WAITING, ""
        self._tripped: set[str] = set()  # rules, as last published
        self._interventions = 0
        self._last_tick_s = time.monotonic()

    def activate(self) -> None:
        """Begin to guard."""
        self._begin()
        for event in (self._vehicle, self._route, Paused(self._paused, time.monotonic())):
            if event is not None:
                self._gate.update(event)

    def deactivate(self) -> None:
        """Leave the vehicle braking: CARLA holds the last command for ever."""
        if self._odometry is not None:
            message = CarlaEgoVehicleControl(brake=1.0, header=header(self._odometry.stamp_ns))
            self._commands.publish(message)
            self._commands.wait_for_all_acked(Duration(seconds=LAST_WORD_S))

    # ------------------------------------------------------------------ messages in

    def _on_status(self, message) -> None:
        self._paused = not message.synchronous_mode_running
        self._take(Paused(self._paused, time.monotonic()))

    def _on_vehicle_info(self, message) -> None:
        angles = [wheel.max_steer_angle for wheel in message.wheels]
        along = [wheel.position.x for wheel in message.wheels]
        if angles:
            wheelbase = float(max(along) - min(along))
            self._vehicle = VehicleInfo(float(max(angles)), wheelbase, time.monotonic())
            self._take(self._vehicle)

    def _on_waypoints(self, message) -> None:
        points = [(pose.pose.position.x, pose.pose.position.y) for pose in message.poses]
        self._route = RouteKnown(np.array(points).reshape(-1, 2), time.monotonic())
        self._take(self._route)

    def _on_objects(self, message) -> None:
        try:
            objects = messages.objects(message)
        except messages.MessageError as error:
            self._count("objects", str(error))
            return
        stamp = messages.stamp_ns(message.header.stamp)
        self._take(RoadUsers(stamp, objects, time.monotonic()))

    def _on_speedometer(self, message) -> None:
        self._take(Speed(float(message.data), time.monotonic()))

    def _on_odometry(self, message, info: Mapping[str, int]) -> None:
        self._sensed.note(messages.stamp_ns(message.header.stamp), sent_time_ns(info))
        position, q = message.pose.pose.position, message.pose.pose.orientation
        odometry = Odometry(
            stamp_ns=messages.stamp_ns(message.header.stamp),
            wall_s=time.monotonic(),
            x=position.x,
            y=position.y,
            yaw=yaw_from_quaternion(q.x, q.y, q.z, q.w),
            speed_mps=message.twist.twist.linear.x,
            yaw_rate_radps=message.twist.twist.angular.z,
        )
        if odometry.is_usable:
            self._odometry = odometry
        self._take(odometry)

    def _on_proposal(self, message, info: Mapping[str, int]) -> None:
        stamp = messages.stamp_ns(message.header.stamp)
        self._proposed.note(stamp, sent_time_ns(info))
        self._take(
            Proposal(
                stamp_ns=stamp,
                steer=float(message.steer),
                accel=float(message.accel),
                wall_s=time.monotonic(),
                feasible=message.feasible,
                stop_requested=message.stop_requested,
                reason=message.reason,
            )
        )

    def _on_tick(self) -> None:
        now = time.monotonic()
        stalled = now - self._last_tick_s > STALL_S
        self._last_tick_s = now
        if not stalled:
            self._take(Tick(now))

    # ------------------------------------------------------------------ messages out

    def _take(self, event: Event) -> None:
        if not self._host.active:
            return
        decision = self._gate.update(event)
        self._interventions = decision.interventions
        if decision.command is not None:
            self._count_rules(decision)
            throttle, steer, brake = to_vehicle_control(decision.command)
            message = CarlaEgoVehicleControl(throttle=throttle, steer=steer, brake=brake)
            message.header = header(decision.stamp_ns)
            self._commands.publish(message)
            self._time(decision.stamp_ns)
        changed = (decision.state, decision.reason) != (self._state, self._reason)
        if changed:
            self._log_change(decision)
        tripped = {rule.name for rule in decision.rules if rule.tripped}
        if changed or tripped != self._tripped or decision.command is not None:
            self._tripped = tripped
            self._states.publish(self._state_message(decision))

    def _time(self, stamp_ns: int) -> None:
        """A command has gone out; one that came before any proposal answers no frame."""
        proposed = self._proposed.take(stamp_ns)
        if proposed is not None:
            self._latency.add("odometry_to_command", self._sensed.of(stamp_ns))
            self._latency.add("proposal_to_command", proposed)

    def _log_change(self, decision: GateDecision) -> None:
        self._state, self._reason = decision.state, decision.reason
        text = f"{decision.state.name}: {decision.reason}".rstrip(": ")
        if decision.state in (GateState.NOMINAL, GateState.WAITING):
            self._log.info(text)
        else:
            self._log.warning(text)

    def _state_message(self, decision: GateDecision) -> SafetyState:
        return SafetyState(
            header=header(decision.stamp_ns or self._stamp_ns()),
            state=int(decision.state),
            reason=decision.reason,
            rules=[
                SafetyRule(
                    name=rule.name,
                    value=_float32(rule.value),
                    limit=_float32(rule.limit),
                    tripped=rule.tripped,
                    unit=rule.unit,
                )
                for rule in decision.rules
            ],
            interventions=decision.interventions,
        )

    def _stamp_ns(self) -> int:
        return self._odometry.stamp_ns if self._odometry else 0

    def _count(self, kind: str, text: str) -> None:
        self._problems[kind] += 1
        self._texts[kind] = text

    def _count_rules(self, decision: GateDecision) -> None:
        for rule in decision.rules:
            if rule.tripped and rule.name not in REPORTED_ONLY:
                self._count(rule.name, f"{rule.value:.3g} {rule.unit}, limit {rule.limit:.3g}")

    def report(self) -> None:
        """The gate's state."""
        errors = []
        if self._odometry is None and not self._paused and self._host.active:
            errors.append(f"no odometry on {self._odometry_topic}: nothing to guard")
        elif self._state in MANOEUVRE:
            errors.append(f"{self._state.name}: {self._reason}")
        values = {"state": self._state.name, "interventions": self._interventions}
        self._host.diagnostics.add("gate", errors, self._problems, self._texts, values)
        self._host.diagnostics.add("latency", [], values=self._latency.values())


def _float32(value: float) -> float:
    """A value that fits a float32 field; what is not finite passes as it is."""
    return max(-FLOAT32_MAX, min(FLOAT32_MAX, value)) if math.isfinite(value) else value


def main(args: list[str] | None = None) -> int:
    """Entry point of ``gate_node``."""
    return run(lambda: ManagedNode("wm_gate", GateNode, ESSENTIAL), args)


if __name__ == "__main__":
    sys.exit(main())
