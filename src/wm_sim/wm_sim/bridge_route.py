"""New routes in a running episode: to a goal somebody sets, or after the ego was put elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable

from geometry_msgs.msg import PoseStamped

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.bridge_source import BridgeSource
from wm_sim.routes import Router, load_router

JUMP_M = 2.0  # carla_waypoint_publisher plans again when the ego moved farther within a frame


class Replanner:
    """Stands where carla_waypoint_publisher stands.

    Args:
        source: the simulator.
        loop: publishes the route.
        complain: says what could not be done.
        load: finds the router of a town.
    """

    def __init__(
        self,
        source: BridgeSource,
        loop: BridgeLoop,
        complain: Complaints,
        load: Callable[[str], Router] = load_router,
    ):
        self._source, self._loop, self._complain, self._load = source, loop, complain, load

    def on_goal(self, message: PoseStamped) -> None:
        """Plan from where the ego is."""
        goal, frame_id = message.pose.position, message.header.frame_id
        if frame_id not in ("", "map"):
            self._complain("goal", f"it must be in the frame 'map', not '{frame_id}'")
        elif not (math.isfinite(goal.x) and math.isfinite(goal.y)):
            self._complain("goal", "its position is not finite; the route stays as it is")
        elif not self._loop.started:
            self._complain("goal", "no episode has been started yet")
        else:
            ego = self._source.frame().ego
            self._plan((ego.x, ego.y, ego.yaw), (goal.x, goal.y))

    def after_jump(self, before: EgoState, place: tuple[float, float, float]) -> None:
        """Plan again from where the ego was put, to where the route led."""
        scene = self._source.scene
        if scene is not None and math.dist((before.x, before.y), place[:2]) > JUMP_M:
            goal_x, goal_y = scene.route.points[-1].tolist()
            self._plan(place, (goal_x, goal_y))

    def _plan(self, start: tuple[float, float, float], goal: tuple[float, float]) -> None:
        try:
            route = self._load(self._source.town_name).plan(start, goal)
        except UserError as error:
            self._complain("goal", f"{error}; the route stays as it is")
            return
        self._source.reroute(route)
        self._loop.reroute(route)
