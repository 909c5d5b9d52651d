"""``python -m stranger KEY``: publishes one of the stack's topics with a QoS of its own."""

from __future__ import annotations

import sys

from rclpy.qos import QoSProfile, ReliabilityPolicy

from wm_perception.node_tools import create_node, run
from wm_perception.topics import topic


class Stranger:
    """Offers less than the stack asks for."""

    def __init__(self, key: str):
        self.node = create_node("stranger")
        entry = topic(key)
        profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._publisher = self.node.create_publisher(entry.message_type(), entry.name(), profile)


if __name__ == "__main__":
    name = sys.argv.pop(1)
    sys.exit(run(lambda: Stranger(name)))
