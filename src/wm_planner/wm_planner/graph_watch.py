"""What the manager says of its nodes, for whoever waits for them."""

from __future__ import annotations

from typing import Any

from wm_dynamics.errors import UserError
from wm_perception.node_tools import subscription
from wm_planner.manager import Phase
from wm_planner.manager_node import GRAPH_STATUS

QUEUE_DEPTH = 100  # every node speaks there


class GraphWatch:
    """Listens to /diagnostics.

    Attributes:
        phase: how far the graph is, None before the manager said anything.
        waiting_for: which nodes are not active, and why; empty when all are.
    """

    def __init__(self, node: Any, role: str):
        """Args: node to listen with; role name of the ego vehicle."""
        self.forget()
        subscription(node, "diagnostics", role, self._take, depth=QUEUE_DEPTH)

    def forget(self) -> None:
        """Another graph begins."""
        self.phase: Phase | None = None
        self.waiting_for = ""

    def _take(self, message: Any) -> None:
        for status in message.status:
            if status.name == GRAPH_STATUS:
                values = {value.key: value.value for value in status.values}
                self.phase = Phase(values["phase"])
                self.waiting_for = values["waiting for"]

    @property
    def active(self) -> bool:
        """All nodes are active."""
        return self.phase == Phase.ACTIVE

    @property
    def unconnected(self) -> bool:
        """All nodes are configured, but not all may be activated yet."""
        return self.phase == Phase.UNCONNECTED

    @property
    def unheard(self) -> bool:
        """Somebody is not heard of at all, by the manager or of the manager."""
        return self.phase is None or "is not there" in self.waiting_for

    def check(self) -> None:
        """Raise if a node cannot be configured: waiting will not mend that.

        Raises:
            UserError: with the node's own words.
        """
        if self.phase == Phase.REFUSED:
            raise UserError(self.waiting_for)
