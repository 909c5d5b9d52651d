"""ROS node: the map, and markers of what the stack believes, for whoever watches."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from wm_perception import messages
from wm_perception.conventions import yaw_from_quaternion
from wm_perception.endpoints import Essential
from wm_perception.frame import Objects
from wm_perception.lifecycle import ManagedNode
from wm_perception.node_tools import header, run
from wm_planner.demand import Demand
from wm_planner.hindsight import Hindsight
from wm_planner.map_markers import map_markers, read_strips
from wm_planner.overlay import Shown, overlay
from wm_planner.parameters import node_parameters

ESSENTIAL = Essential(inputs=(), outputs=())  # who only watches waits for nobody
NEEDS = {
    "overlay": ("ego_objects", "safety_state", "plan_statistics", "plan", "odometry"),
    "map_markers": ("world_info", "map"),
}


class OverlayConfig(BaseModel):
    """Parameters of ``overlay_node``; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid")

    role_name: str = Field("ego_vehicle", min_length=1, description="of the ego vehicle")
    compare_s: float = Field(
        3.0, gt=0, le=30, description="how old the plan is that is compared with what was driven, s"
    )


class OverlayNode:
    """Remembers the last messages, draws at each odometry: the work of a managed node."""

    def __init__(self, host: ManagedNode):
        """Open the topics.

        Raises:
            UserError: a parameter cannot be used.
        """
        self._host, self.node = host, host.node
        config = node_parameters(self.node, OverlayConfig)
        self.role = config.role_name
        self._hindsight = Hindsight(config.compare_s)
        self._last: dict[str, Any] = {}
        self._objects = Objects()
        self._opendrive = self._problem = ""
        self._demand = Demand(
            self.node,
            self.role,
            NEEDS,
            {
                "ego_objects": self._on_objects,
                "safety_state": lambda message: self._last.update(gate=message),
                "plan_statistics": lambda message: self._last.update(statistics=message),
                "plan": self._on_plan,
                "odometry": self._on_odometry,
                "world_info": lambda message: self._on_map(message.opendrive),
                "map": lambda message: self._on_map(message.data),
            },
        )

    def activate(self) -> None:
        """What was before does not count."""
        self._hindsight.forget()
        self._last.clear()

    def deactivate(self) -> None:
        """Nothing to say: markers have a lifetime."""

    def _on_objects(self, message) -> None:
        try:
            self._objects = messages.objects(message)
            self._problem = ""
        except messages.MessageError as error:
            self._objects, self._problem = Objects(), str(error)

    def _on_plan(self, message) -> None:
        if message.poses:
            stamps = [messages.stamp_ns(pose.header.stamp) for pose in message.poses]
            path = [(pose.pose.position.x, pose.pose.position.y) for pose in message.poses]
            stamp = messages.stamp_ns(message.header.stamp)
            self._hindsight.plan(stamp, np.array(stamps), np.array(path))

    def _on_odometry(self, message) -> None:
        if not self._host.active:
            return
        stamp = messages.stamp_ns(message.header.stamp)
        place, q = message.pose.pose.position, message.pose.pose.orientation
        pose = np.array([place.x, place.y, yaw_from_quaternion(q.x, q.y, q.z, q.w)])
        if not np.isfinite(pose).all():
            return
        self._hindsight.position(stamp, pose[:2])
        speed = float(message.twist.twist.linear.x)
        shown = Shown(pose, speed, self._objects, self._hindsight.compare(), **self._last)
        self._demand.show("overlay", lambda: overlay(shown, header(stamp)))

    def _on_map(self, opendrive: str) -> None:
        # Who came and went while the text was on its way: it comes again with the next who watches.
        if not opendrive or opendrive == self._opendrive or not self._demand.wanted("map_markers"):
            return
        self._opendrive = opendrive
        try:
            strips = read_strips(opendrive)
        except ValueError as error:
            self._problem = str(error)
            return
        self._demand.show("map_markers", lambda: map_markers(strips, header(0)))

    def report(self) -> None:
        """What was drawn, and what cannot be."""
        errors = [self._problem] if self._problem else []
        values = {**self._demand.built, "inputs": ", ".join(sorted(self._demand.inputs)) or "none"}
        self._host.diagnostics.add("drawn", errors, values=values)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``overlay_node``."""
    return run(lambda: ManagedNode("wm_overlay", OverlayNode, ESSENTIAL), args)


if __name__ == "__main__":
    sys.exit(main())
