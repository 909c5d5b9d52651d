"""A ROS client beside the bridge: hears everything in the table, drives in lockstep."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import rclpy
from carla_msgs.msg import CarlaEgoVehicleControl
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile

PATIENCE_S = 20.0


def qos(depth: int, latched: bool = False) -> QoSProfile:
    """Reliable, keep last ``depth``."""
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=depth, durability=durability)


class Client:
    """Keeps what it hears as (phase, message) by topic name.

    Attributes:
        node: the rclpy node.
        phase: name of what is being done; kept with every message.
        heard: topic name -> (phase, message) in order of arrival.
    """

    def __init__(self, domain_id: int, role: str):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("contract", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.role, self.phase = role, ""
        self._arrivals = 0
        self.heard: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        self._subscriptions: dict[str, Any] = {}
        self._publishers: dict[str, Any] = {}
        self._odometry = f"/carla/{role}/odometry"
        self._command = f"/carla/{role}/vehicle_control_cmd"

    def hear(self, name: str, message_type: type, latched: bool = False) -> None:
        """Subscribe."""

        def take(message) -> None:
            self._arrivals += 1
            self.heard[name].append((self.phase, message))

        self._subscriptions[name] = self.node.create_subscription(
            message_type, name, take, qos(500, latched)
        )

    def forget(self, name: str) -> None:
        """Unsubscribe."""
        self.node.destroy_subscription(self._subscriptions.pop(name))

    def send(self, name: str, message: Any, latched: bool = False) -> None:
        """Publish, once somebody listens."""
        if name not in self._publishers:
            profile = qos(1 if latched else 10, latched)
            self._publishers[name] = self.node.create_publisher(type(message), name, profile)
            self.until(self._publishers[name].get_subscription_count)
        self._publishers[name].publish(message)

    def call(self, service_type: type, name: str, **request: Any) -> Any:
        """Call a service and wait for the answer."""
        client = self.node.create_client(service_type, name)
        self.until(client.service_is_ready)
        future = client.call_async(service_type.Request(**request))
        self.until(future.done)
        self.node.destroy_client(client)
        return future.result()

    def until(self, condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
        """Let time pass until something is so."""
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, f"waited in vain in phase {self.phase!r}"
            self._executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def last(self, name: str) -> Any:
        """The newest message of a topic."""
        return self.heard[name][-1][1]

    @property
    def odometry(self) -> Odometry:
        """Where the ego is."""
        return self.last(self._odometry)

    @property
    def frames(self) -> int:
        """Frames so far."""
        return len(self.heard[self._odometry])

    def drive(self, phase: str, frames: int, **control: Any) -> None:
        """Answer that many frames with a command and wait for the frame after each."""
        self.phase = phase
        for _ in range(frames):
            self.command(**control)

    def command(self, topic: str = "", **control: Any) -> None:
        """Answer the newest frame and wait for the next one."""
        before = self.frames
        message = CarlaEgoVehicleControl(**control)
        message.header.stamp = self.odometry.header.stamp
        self.send(topic or self._command, message)
        self.until(lambda: self.frames > before)
        arrivals = -1
        while arrivals != self._arrivals:  # the rest of the frame, before the phase can change
            arrivals = self._arrivals
            self._executor.spin_once(timeout_sec=0.004)

    def match(self, names: list[str], since_start: bool = False) -> None:
        """Stand until all of them say something: some are sent only to known listeners."""
        said = {name: 0 if since_start else len(self.heard[name]) for name in names}
        for _ in range(200):
            silent = [name for name, count in said.items() if len(self.heard[name]) <= count]
            if not silent:
                return
            self.drive("matching", 1, brake=1.0)
        raise AssertionError(f"nothing was heard on {silent}")

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)
