"""ROS node: a planner that proposes what it should not. A fault injector for gates; never drive it.

It takes the place of ``planner_node`` on the graph (same name, topics and lifecycle) and answers
every odometry message. Its parameter ``kind`` says with what, and can be changed while it runs:

    ros2 param set /wm_planner kind full_steer
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field
from rcl_interfaces.msg import SetParametersResult

from wm_dynamics.errors import UserError
from wm_msgs.msg import ControlProposal
from wm_perception.endpoints import Essential
from wm_perception.lifecycle import ManagedNode
from wm_perception.messages import stamp_ns
from wm_perception.node_tools import header, parameters, publisher, run, subscription

ESSENTIAL = Essential(inputs=("odometry",), outputs=("control_proposal",))
FUTURE_NS = 2_000_000_000
GENTLE = (0.0, 0.3)

# Kind -> (steer, accel) for the n-th frame.
KINDS: dict[str, Callable[[int], tuple[float, float]]] = {
    "good": lambda n: GENTLE,
    "nan": lambda n: (math.nan, 0.3),
    "infinite": lambda n: (0.0, math.inf),
    "beyond": lambda n: (0.0, 7.0),  # pedals and wheels end at 1
    "full_steer": lambda n: (1.0, 0.3),
    "steer_flips": lambda n: (0.5 if n % 2 else -0.5, 0.3),
    "pedal_flips": lambda n: (0.0, 1.0 if n % 2 else -1.0),
    "future": lambda n: GENTLE,
    "silent": lambda n: GENTLE,
}


class BadPlannerConfig(BaseModel):
    """Parameters of ``bad_planner_node``; unknown ones are errors."""

    model_config = ConfigDict(extra="ignore")  # it is given the planner's

    role_name: str = Field("ego_vehicle", min_length=1, description="of the ego vehicle")
    kind: str = Field("good", description="what is wrong with the proposals")


class BadPlannerNode:
    """Odometry in, bad proposals out."""

    def __init__(self, host: ManagedNode):
        """Open the topics.

        Raises:
            UserError: there is no such kind.
        """
        self._host, self.node = host, host.node
        config = parameters(self.node, BadPlannerConfig)
        if config.kind not in KINDS:
            raise UserError(f"unknown kind {config.kind!r}; kinds: {', '.join(KINDS)}")
        self.role, self._kind, self._count = config.role_name, config.kind, 0
        self._proposals = publisher(self.node, "control_proposal", self.role)
        subscription(self.node, "odometry", self.role, self._answer)

    def activate(self) -> None:
        """The kind may change from now on."""
        self.node.add_on_set_parameters_callback(self._on_parameters)

    def deactivate(self) -> None:
        """Silence."""
        self.node.remove_on_set_parameters_callback(self._on_parameters)

    def report(self) -> None:
        """What is wrong on purpose."""
        self._host.diagnostics.add("bad planner", [], values={"kind": self._kind})

    def _on_parameters(self, changes) -> SetParametersResult:
        for change in changes:
            if change.name == "kind":
                if change.value not in KINDS:
                    reason = f"kinds: {', '.join(KINDS)}"
                    return SetParametersResult(successful=False, reason=reason)
                self._kind = change.value
        return SetParametersResult(successful=True)

    def _answer(self, message) -> None:
        if not self._host.active or self._kind == "silent":
            return
        self._count += 1
        steer, accel = KINDS[self._kind](self._count)
        stamp = stamp_ns(message.header.stamp) + (FUTURE_NS if self._kind == "future" else 0)
        self._proposals.publish(ControlProposal(header=header(stamp), steer=steer, accel=accel))


def main(args: list[str] | None = None) -> int:
    """Entry point of ``bad_planner_node``."""
    return run(lambda: ManagedNode("wm_planner", BadPlannerNode, ESSENTIAL), args)


if __name__ == "__main__":
    sys.exit(main())
