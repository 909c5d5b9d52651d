"""Work on demand: a node's inputs are subscribed to only while somebody looks at its outputs.

Then an idle node costs nothing, and neither do those who would have to build what it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node

from wm_perception.node_tools import publisher, steady_timer, subscription

LOOK_S = 0.2  # between two looks at who watches


class Demand:
    """Outputs, and the inputs that each needs.

    Attributes:
        built: output -> how many messages of it were built.
    """

    def __init__(
        self,
        node: Node,
        role: str,
        needs: Mapping[str, tuple[str, ...]],
        callbacks: Mapping[str, Callable[[Any], None]],
    ):
        """Open the outputs.

        Args:
            node: the node.
            role: role name of the ego vehicle.
            needs: output -> inputs, all keys of ``wm_perception.topics``.
            callbacks: input -> what takes its messages; subscribed to in this order.
        """
        self._node, self._role = node, role
        self._needs, self._callbacks = needs, callbacks
        self._outputs = {key: publisher(node, key, role) for key in needs}
        self._inputs: dict[str, Any] = {}
        self.built = dict.fromkeys(needs, 0)
        steady_timer(node, LOOK_S, self._look)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is subscribed to now."""
        return tuple(self._inputs)

    def wanted(self, key: str) -> bool:
        """Whether somebody looks at the output ``key``."""
        return self._outputs[key].get_subscription_count() > 0

    def show(self, key: str, build: Callable[[], Any]) -> None:
        """Build and publish what somebody looks at."""
        if self.wanted(key):
            self.built[key] += 1
            self._outputs[key].publish(build())

    def _look(self) -> None:
        """Follow who watches."""
        wanted = {i for key, inputs in self._needs.items() if self.wanted(key) for i in inputs}
        for key in [key for key in self._inputs if key not in wanted]:
            self._node.destroy_subscription(self._inputs.pop(key))
        for key, callback in self._callbacks.items():
            if key in wanted and key not in self._inputs:
                self._inputs[key] = subscription(self._node, key, self._role, callback)
