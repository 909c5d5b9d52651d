"""The running graph as a source: subscriptions that are read when a picture is due.

Each topic keeps only its newest message, and no executor runs: what was published in between is
overwritten by the middleware and costs this process nothing. Publishers keep the last samples only,
so none ever waits for it. Reliable, but for pictures: the last frame before a pause must not be
lost. While nobody watches there are no subscriptions to what is made on demand (pictures,
imagined futures), nor to anything else that moves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from wm_perception.topics import DEFAULT_ROLE, Topic, topic
from wm_training.object_decoder import decode_objects
from wm_training.view.collector import EVENT_KEYS, EXPECTED, MOVING, STATIC, Collector
from wm_training.view.graph_controls import CONTROLS, GraphControls

EVENT_DEPTH = 50
LOOK_S = 0.5  # between two looks at who offers controls


class GraphSource:
    """Shows what runs in this ROS domain.

    Attributes:
        parts: what is shown.
        collector: makes them.
    """

    def __init__(self, node: Node, role: str = DEFAULT_ROLE, controls: str = CONTROLS[0]):
        """Join the graph.

        Args:
            node: of this process; nobody else may spin it.
            role: role name of the ego vehicle.
            controls: one of ``CONTROLS``.
        """
        self.collector = Collector()
        self.parts = self.collector.parts
        self._node, self._role = node, role
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._controls = GraphControls(node, role, controls)
        self._subscriptions: dict[str, Any] = {}
        self._looked_s = 0.0
        self._expects = False  # somebody asked for the pictures of what the model expects
        self._say_who()

    def poll(self) -> None:
        """Take the newest of every topic and rebuild the parts."""
        now_s = time.monotonic()
        if not self._subscriptions:
            self._listen()
        for key, subscription in self._subscriptions.items():
            self._read(key, subscription, now_s)
        if self._controls.waiting:
            self._executor.spin_once(timeout_sec=0.0)
        if now_s - self._looked_s > LOOK_S:
            self._looked_s = now_s
            self._controls.look()
            for text, level in self._controls.said():
                self.collector.note(self.collector.stamp_ns * 1e-9, text, level)
            self._say_who()
        self.collector.update(now_s)

    def _listen(self) -> None:
        for key in (*STATIC, *EVENT_KEYS, *MOVING, *(EXPECTED if self._expects else ())):
            entry = topic(key)
            if key in EVENT_KEYS:
                entry = replace(entry, depth=EVENT_DEPTH)
            elif not entry.latched:
                entry = replace(entry, depth=1)
            self._subscriptions[key] = self._subscribe(entry)

    def _subscribe(self, entry: Topic) -> Any:
        return self._node.create_subscription(
            entry.message_type(),
            entry.name(self._role),
            lambda message: None,  # nobody spins for it: :meth:`_read` takes the messages
            entry.subscriber_qos(),
            raw=entry.key == "objects",
        )

    def _read(self, key: str, subscription: Any, now_s: float) -> None:
        """Hand on what has come, oldest first."""
        with subscription.handle:
            while found := subscription.handle.take_message(
                subscription.msg_type, subscription.raw
            ):
                message = decode_objects(found[0]) if subscription.raw else found[0]
                self.collector.take(key, message, now_s)

    def _say_who(self) -> None:
        self.parts.put_json(
            "about",
            {
                "kind": "live",
                "role": self._role,
                "can": self._controls.offered(),
                "episode": self._controls.episode,
                "expects": self._expects,
            },
        )

    def rest(self) -> None:
        """Give up the subscriptions."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def welcome(self) -> None:
        """Make the past a part."""
        self.collector.put_history()

    def control(self, request: Mapping[str, Any]) -> str:
        """Pause, play, step, or begin another route; see :class:`GraphControls`.

        ``{"do": "expect", "on": true}`` has the model draw what it expects, which costs time.
        """
        if request.get("do") == "expect":
            self._expects = bool(request.get("on"))
            self.rest()  # the next poll subscribes anew
            for name in EXPECTED.values():
                self.parts.put(name, b"")
            self._say_who()
            return "expect"
        return self._controls.do(request)

    def close(self) -> None:
        """Leave the graph."""
        self.rest()
        self._executor.shutdown()
