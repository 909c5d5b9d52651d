"""The running graph for Foxglove: its protocol, served by ``foxglove-sdk``, an optional extra.

Messages are passed on as they are, CDR with their ROS definitions. A topic is subscribed to only
while a client shows it, so that what is made on demand costs nothing before. A client that reads
slowly loses its oldest messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from wm_dynamics.errors import UserError
from wm_perception.topics import DEFAULT_ROLE, TOPICS, Topic
from wm_training.bag_writer import TypeDefinitions

POLL_S = 0.02
BACKLOG = 64  # messages that wait for a slow client
SHOWN_BY = ("source", "stack")  # who publishes what is shown


class FoxgloveBridge:
    """Channels for every topic of the table."""

    def __init__(self, node: Node, role: str = DEFAULT_ROLE):
        """Make the channels; :meth:`serve` serves them.

        Args:
            node: of this process; nobody else may spin it.
            role: role name of the ego vehicle.

        Raises:
            UserError: foxglove-sdk is not installed.
        """
        try:
            import foxglove
        except ImportError:
            raise UserError(
                "the Foxglove protocol needs foxglove-sdk: pip install 'wm-drive[foxglove]' (in a "
                "checkout: .venv/bin/pip install -c constraints.txt foxglove-sdk)"
            ) from None
        self._sdk: Any = foxglove
        self._node = node
        self._context = foxglove.Context()
        self._entries = {t.name(role): t for t in TOPICS if t.publisher in SHOWN_BY}
        definitions = TypeDefinitions()
        self._channels = {
            name: self._channel(name, entry, definitions) for name, entry in self._entries.items()
        }
        self._wanted: dict[str, int] = {}  # topic -> clients that show it
        self._lock = threading.Lock()
        self._subscriptions: dict[str, Any] = {}

    def _channel(self, name: str, entry: Topic, definitions: TypeDefinitions) -> Any:
        definitions.require(entry.type_name)
        text, _ = definitions.typestore.generate_msgdef(entry.type_name, ros_version=2)
        schema = self._sdk.Schema(name=entry.type_name, encoding="ros2msg", data=text.encode())
        return self._sdk.Channel(name, message_encoding="cdr", schema=schema, context=self._context)

    # Called by the server, from its own threads.

    def on_subscribe(self, client: Any, channel: Any) -> None:
        """A client shows a topic."""
        with self._lock:
            self._wanted[channel.topic] = self._wanted.get(channel.topic, 0) + 1

    def on_unsubscribe(self, client: Any, channel: Any) -> None:
        """A client shows a topic no more."""
        with self._lock:
            self._wanted[channel.topic] = max(0, self._wanted.get(channel.topic, 0) - 1)

    def serve(self, host: str, port: int, until: Callable[[], bool], say: Callable) -> None:
        """Serve until ``until()``.

        Args:
            host, port: where; port 0 takes a free one.
            until: looked at many times a second.
            say: told the port once it is open.

        Raises:
            UserError: the port cannot be used.
        """
        try:
            server = self._sdk.start_server(
                name="wm-drive", host=host, port=port, server_listener=self,
                supported_encodings=["cdr"], context=self._context, message_backlog_size=BACKLOG,
            )  # fmt: skip
        except Exception as error:  # of the library, which has no type of its own for it
            raise UserError(f"cannot serve Foxglove on {host}:{port}: {error}") from None
        try:
            say(server.port)
            while not until():
                self._follow()
                for name, subscription in self._subscriptions.items():
                    self._pass_on(name, subscription)
                time.sleep(POLL_S)
        finally:
            server.stop()

    def _follow(self) -> None:
        """Subscribe to what is shown, and only to that."""
        with self._lock:
            wanted = {name for name, count in self._wanted.items() if count}
        for name in wanted - self._subscriptions.keys():
            entry = self._entries[name]
            self._subscriptions[name] = self._node.create_subscription(
                entry.message_type(),
                name,
                lambda message: None,  # nobody spins for it: :meth:`_pass_on` takes the messages
                entry.subscriber_qos(),
                raw=True,
            )
        for name in self._subscriptions.keys() - wanted:
            self._node.destroy_subscription(self._subscriptions.pop(name))

    def _pass_on(self, name: str, subscription: Any) -> None:
        with subscription.handle:
            while found := subscription.handle.take_message(subscription.msg_type, True):
                raw, info = found
                sent_ns = info["source_timestamp"] or info["received_timestamp"]
                self._channels[name].log(bytes(raw), log_time=sent_ns)
