"""The bridge's publishers, by topic key."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from wm_perception.node_tools import publisher
from wm_perception.topics import Topic

# carla-ros-bridge keeps 10 samples, which lockstep without its slow ticks overwrites before a
# listener on a busy machine has acknowledged them. The number is not visible to anybody else.
UNACKNOWLEDGED = 200


class Outputs:
    """Publishers that come and go with the sensors they belong to.

    Args:
        node: who publishes.
        role: role name of the ego vehicle.
    """

    def __init__(self, node: Node, role: str):
        self._node, self._role = node, role
        self._publishers: dict[str, Any] = {}
        self._entries: dict[str, Topic] = {}

    def add(self, entry: Topic) -> None:
        """Offer a topic."""
        depth = entry.depth if entry.latched or entry.best_effort else UNACKNOWLEDGED
        self._entries[entry.key] = entry
        self._publishers[entry.key] = publisher(self._node, entry, self._role, depth)

    def remove(self, key: str) -> None:
        """Withdraw a topic."""
        del self._entries[key]
        self._node.destroy_publisher(self._publishers.pop(key))

    def __contains__(self, entry: Topic) -> bool:
        """Whether a topic of this name or this key is offered."""
        name = entry.name(self._role)
        return any(
            entry.key == other.key or name == other.name(self._role)
            for other in self._entries.values()
        )

    @property
    def entries(self) -> tuple[Topic, ...]:
        """The topics that are offered."""
        return tuple(self._entries.values())

    def publish(self, key: str, message: Any) -> None:
        """Send a message; topics that the rig does not have are left out."""
        if key in self._publishers:
            self._publishers[key].publish(message)

    def listeners(self, key: str) -> int:
        """Number of subscribers, 0 when the topic is not offered."""
        found = self._publishers.get(key)
        return found.get_subscription_count() if found is not None else 0

    def wanted(self, key: str) -> bool:
        """Whether somebody listens; big messages are built only then."""
        return self.listeners(key) > 0
