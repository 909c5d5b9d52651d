"""A lockstep source for gate tests: publishes frames, collects commands."""

from __future__ import annotations

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor

from wm_perception.node_tools import create_node, header, publisher, subscription

ROLE = "ego_vehicle"
FRAME_NS = 100_000_000


class FakeSource:
    """Publishes status, speed and odometry of a car that drives straight."""

    def __init__(self, speed_mps: float = 8.0, proposes: bool = True):
        """Join the graph; ``proposes``: in place of a planner."""
        rclpy.init()
        self.node = create_node("fake_source")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        keys = ["status", "speedometer", "odometry"] + ["control_proposal"] * proposes
        self.publishers = {key: publisher(self.node, key, ROLE) for key in keys}
        self.commands: list = []
        self.states: list = []
        subscription(self.node, "vehicle_control_cmd", ROLE, self.commands.append)
        subscription(self.node, "safety_state", ROLE, self.states.append)
        self._guarded = False
        subscription(self.node, "diagnostics", ROLE, self._note_gate)
        self.speed_mps = speed_mps
        self.stamp_ns = 3_000_000_000
        self.x = 0.0

    def close(self) -> None:
        """Leave the graph."""
        self.node.destroy_node()
        rclpy.shutdown()

    def spin_until(self, condition, timeout_s: float) -> bool:
        """Handle messages until the condition holds; False when it takes too long."""
        end = time.monotonic() + timeout_s
        while not condition():
            left = end - time.monotonic()
            if left <= 0.0:
                return False
            self._executor.spin_once(timeout_sec=min(0.05, left))
        return True

    def wait_matched(self, readers: int, timeout_s: float = 30.0) -> None:
        """Wait until ``readers`` nodes read odometry and a gate is active."""
        odometry = self.publishers["odometry"]
        assert self.spin_until(
            lambda: odometry.get_subscription_count() >= readers and self._guarded, timeout_s
        ), "the nodes under test did not appear"

    def _note_gate(self, message) -> None:
        for status in message.status:
            if status.name == "wm_gate: lifecycle":
                self._guarded = any(v.value == "active" for v in status.values)

    def frame(self, speed_mps: float | None = None) -> None:
        """Publish the next frame."""
        self.stamp_ns += FRAME_NS
        self.x += 0.1 * self.speed_mps
        status = self._message("status")
        status.synchronous_mode = status.synchronous_mode_running = True
        self.publishers["status"].publish(status)
        speed = self._message("speedometer")
        speed.data = self.speed_mps if speed_mps is None else speed_mps
        self.publishers["speedometer"].publish(speed)
        odometry = self._message("odometry")
        odometry.header = header(self.stamp_ns)
        odometry.pose.pose.position.x = self.x
        odometry.pose.pose.orientation.w = 1.0
        odometry.twist.twist.linear.x = self.speed_mps
        self.publishers["odometry"].publish(odometry)

    def propose(self, steer: float, accel: float, **said) -> None:
        """Publish a proposal for the newest frame; ``said``: its other fields."""
        proposal = self._message("control_proposal")
        proposal.header = header(self.stamp_ns)
        proposal.steer, proposal.accel = steer, accel
        for name, value in said.items():
            setattr(proposal, name, value)
        self.publishers["control_proposal"].publish(proposal)

    def command_after(self, count: int, timeout_s: float):
        """The command number ``count`` (from 0), or None when it does not come."""
        self.spin_until(lambda: len(self.commands) > count, timeout_s)
        return self.commands[count] if len(self.commands) > count else None

    def _message(self, key: str):
        from wm_perception.topics import topic

        return topic(key).message_type()()
