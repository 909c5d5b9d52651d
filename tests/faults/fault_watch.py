"""Hears the whole graph from beside it, with the publishers' own times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor

from wm_perception.messages import stamp_ns
from wm_perception.node_tools import subscription

ROLE = "ego_vehicle"
DEPTH = 500  # nobody waits for this node in lockstep: its queues hold what it is slow to read
PATIENCE_S = 30.0
HEARD = (
    "odometry",
    "vehicle_status",
    "latent",
    "control_proposal",
    "plan_statistics",
    "vehicle_control_cmd",
    "safety_state",
    "diagnostics",
    "faults",
)


@dataclass(frozen=True)
class Event:
    """One message.

    Attributes:
        key: of its topic.
        sent_s: when it was published, by its publisher, s of this machine's clock.
        stamp_ns: of its header: simulation time, but for /diagnostics.
        message: itself.
    """

    key: str
    sent_s: float
    stamp_ns: int
    message: Any


class Watch:
    """Keeps every message of ``keys`` in order of arrival, in a thread of its own.

    Attributes:
        node: the rclpy node; do not spin it.
        events: everything heard so far.
    """

    def __init__(self, domain_id: int, keys: tuple[str, ...] = HEARD):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("fault_watch", context=self._context)
        self.events: list[Event] = []
        self._news = threading.Condition()
        for key in keys:
            subscription(self.node, key, ROLE, self._take(key), depth=DEPTH)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _take(self, key: str) -> Callable[[Any, Any], None]:
        def take(message, info) -> None:
            sent_s = (info["source_timestamp"] or info["received_timestamp"]) * 1e-9
            stamp = stamp_ns(message.header.stamp)
            with self._news:
                self.events.append(Event(key, sent_s, stamp, message))
                self._news.notify_all()

        return take

    def until(self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait until something is so, looked at after every message; what the condition gave."""
        end = time.monotonic() + patience_s
        with self._news:
            while not (found := condition()):
                left = end - time.monotonic()
                if left <= 0.0:
                    raise AssertionError(f"waited {patience_s:g} s in vain: {what}")
                self._news.wait(min(left, 0.05))
        return found

    def of(self, key: str, since: int = 0) -> list[Event]:
        """The events of a topic, from the ``since``-th of all events on."""
        return [event for event in self.events[since:] if event.key == key]

    def last(self, key: str) -> Event | None:
        """The newest event of a topic."""
        return next((event for event in reversed(self.events) if event.key == key), None)

    def first(
        self,
        key: str,
        wanted: Callable[[Any], Any],
        since: int = 0,
        from_ns: int = 0,
        patience_s: float = PATIENCE_S,
    ) -> Event:
        """The first event of a topic that is as wanted; waits for it.

        Args:
            key: of the topic.
            wanted: asked of messages.
            since: number of the event to look from.
            from_ns: least stamp.
            patience_s: how long to wait.
        """

        def look() -> Event | None:
            events = (e for e in self.of(key, since) if e.stamp_ns >= from_ns)
            return next((e for e in events if wanted(e.message)), None)

        return self.until(look, f"{key} as wanted", patience_s)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)
