"""ROS node: the safety gate between the planner's proposals and the vehicle.

A thin shell over :class:`wm_planner.gate.Gate`; it imports nothing learned and runs in its own
process, so that it outlives whatever happens to the planner.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter

import numpy as np
from carla_msgs.msg import CarlaEgoVehicleControl
from rclpy.duration import Duration

from wm_msgs.msg import SafetyRule, SafetyState
from wm_perception import messages
from wm_perception.conventions import to_vehicle_control, yaw_from_quaternion
from wm_perception.diagnostics import DiagnosticsPublisher
from wm_perception.node_tools import create_node, header, publisher, run, steady_timer, subscription
from wm_perception.topics import topic
from wm_planner.gate import Gate, GateDecision
from wm_planner.gate_events import (
    Ahead,
    Event,
    Odometry,
    Paused,
    Proposal,
    Speed,
    Tick,
    VehicleInfo,
)
from wm_planner.gate_rss import arc_curvature, gap_ahead
from wm_planner.gate_state import MANOEUVRE, GateState
from wm_planner.node_config import GateNodeConfig
from wm_planner.parameters import node_parameters

TICK_S = 0.02
# After a stall of the gate itself, messages that wait in the queue are looked at before the clock.
STALL_S = 0.1
LAST_WORD_S = 0.5  # longest wait for the vehicle to take the last brake command
REPORT_S = 1.0
FLOAT32_MAX = 3.0e38


class GateNode:
    """Topics in, gate, topics out."""

    def __init__(self):
        self.node = create_node("wm_gate")
        self.config = config = node_parameters(self.node, GateNodeConfig)
        role = config.role_name
        self._gate = Gate(config)
        self._log = self.node.get_logger()
        self._odometry: Odometry | None = None
        self._state, self._reason = GateState.WAITING, ""
        self._last_tick_s = time.monotonic()
        self._paused = False
        self._interventions = 0
        self._problems: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._odometry_topic = topic("odometry").name(role)
        self._commands = publisher(self.node, "vehicle_control_cmd", role)
        self._states = publisher(self.node, "safety_state", role)
        self._diagnostics = DiagnosticsPublisher(self.node, "wm_gate", role)
        self._subscriptions = [
            subscription(self.node, key, role, callback)
            for key, callback in (
                ("status", self._on_status),
                ("vehicle_info", self._on_vehicle_info),
                ("ego_objects", self._on_objects),
                ("speedometer", self._on_speedometer),
                ("odometry", self._on_odometry),
                ("control_proposal", self._on_proposal),
            )
        ]
        self._timers = [
            steady_timer(self.node, TICK_S, self._on_tick),
            steady_timer(self.node, REPORT_S, self._report),
        ]
        self._log.info(f"ready, guarding {self._commands.topic_name}")

    # ------------------------------------------------------------------ messages in

    def _on_status(self, message) -> None:
        self._paused = not message.synchronous_mode_running
        self._take(Paused(self._paused, time.monotonic()))

    def _on_vehicle_info(self, message) -> None:
        angles = [wheel.max_steer_angle for wheel in message.wheels]
        along = [wheel.position.x for wheel in message.wheels]
        if angles:
            wheelbase = float(max(along) - min(along))
            self._take(VehicleInfo(float(max(angles)), wheelbase, time.monotonic()))

    def _on_objects(self, message) -> None:
        ego = self._odometry
        if ego is None:
            return
        try:
            objects = messages.objects(message)
        except messages.MessageError as error:
            self._count("objects", str(error))
            return
        curvature = arc_curvature(ego.speed_mps, ego.yaw_rate_radps)
        gap = gap_ahead(np.array([ego.x, ego.y, ego.yaw]), curvature, objects)
        self._take(Ahead(gap, time.monotonic()))

    def _on_speedometer(self, message) -> None:
        self._take(Speed(float(message.data), time.monotonic()))

    def _on_odometry(self, message) -> None:
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

    def _on_proposal(self, message) -> None:
        stamp = messages.stamp_ns(message.header.stamp)
        self._take(Proposal(stamp, float(message.steer), float(message.accel), time.monotonic()))

    def _on_tick(self) -> None:
        now = time.monotonic()
        stalled = now - self._last_tick_s > STALL_S
        self._last_tick_s = now
        if not stalled:
            self._take(Tick(now))

    # ------------------------------------------------------------------ messages out

    def _take(self, event: Event) -> None:
        decision = self._gate.update(event)
        self._interventions = decision.interventions
        if decision.command is not None:
            self._count_rules(decision)
            throttle, steer, brake = to_vehicle_control(decision.command)
            message = CarlaEgoVehicleControl(throttle=throttle, steer=steer, brake=brake)
            message.header = header(decision.stamp_ns)
            self._commands.publish(message)
        changed = (decision.state, decision.reason) != (self._state, self._reason)
        if changed:
            self._log_change(decision)
        if changed or decision.command is not None:
            self._states.publish(self._state_message(decision))

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
            reported_only = rule.name == "rss_longitudinal" and not self.config.rss.stops
            if rule.tripped and not reported_only:
                self._count(rule.name, f"{rule.value:.3g}, limit {rule.limit:.3g}")

    def _report(self) -> None:
        errors = []
        if self._odometry is None and not self._paused:
            errors.append(f"no odometry on {self._odometry_topic}: nothing to guard")
        elif self._state in MANOEUVRE:
            errors.append(f"{self._state.name}: {self._reason}")
        values = {"state": self._state.name, "interventions": self._interventions}
        self._diagnostics.add("gate", errors, self._problems, self._texts, values)
        self._diagnostics.send()

    def close(self) -> None:
        """Leave the vehicle braking: CARLA holds the last command for ever."""
        if self._odometry is not None:
            message = CarlaEgoVehicleControl(brake=1.0, header=header(self._odometry.stamp_ns))
            self._commands.publish(message)
            self._commands.wait_for_all_acked(Duration(seconds=LAST_WORD_S))


def _float32(value: float) -> float:
    """A value that fits a float32 field; what is not finite passes as it is."""
    return max(-FLOAT32_MAX, min(FLOAT32_MAX, value)) if math.isfinite(value) else value


def main(args: list[str] | None = None) -> int:
    """Entry point of ``gate_node``."""
    return run(GateNode, args)


if __name__ == "__main__":
    sys.exit(main())
