"""What clients send to the bridge's topics, checked before it reaches the simulator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from carla_msgs.msg import CarlaWeatherParameters
from geometry_msgs.msg import Pose, Twist
from visualization_msgs.msg import Marker, MarkerArray

from wm_dynamics.errors import UserError
from wm_perception.conventions import yaw_from_quaternion
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.bridge_route import Replanner
from wm_sim.bridge_source import BridgeSource
from wm_sim.weather import Weather

FARTHEST_M = 1e5  # no town is larger; farther coordinates are mistakes
_DRAWABLE = (Marker.POINTS, Marker.LINE_STRIP, Marker.ARROW, Marker.CUBE)
_TOO_FEW_POINTS = {Marker.LINE_STRIP: 2, Marker.ARROW: 2}


def ground_pose(pose: Pose) -> tuple[float, float, float]:
    """x, y (m) and heading (rad) of a pose.

    Raises:
        UserError: a value is not finite, far outside of any town, or the attitude no rotation.
    """
    x, y, q = pose.position.x, pose.position.y, pose.orientation
    if not (abs(x) <= FARTHEST_M and abs(y) <= FARTHEST_M):  # a NaN fails too
        raise UserError(f"position ({x:g}, {y:g}) is not a place on the map")
    norm = q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w
    if not 0.9 < norm < 1.1:
        raise UserError(f"orientation is not a unit quaternion (squared norm {norm:.3g})")
    return x, y, yaw_from_quaternion(q.x, q.y, q.z, q.w)


class Inputs:
    """Handlers of the topics that the bridge subscribes to.

    Args:
        source: the simulator.
        loop: takes commands and the run state.
        replanner: takes goals.
        complain: says what was refused.
    """

    def __init__(
        self, source: BridgeSource, loop: BridgeLoop, replanner: Replanner, complain: Complaints
    ):
        self._source, self._loop = source, loop
        self._replanner, self._complain = replanner, complain

    def handlers(self) -> dict[str, Callable[[Any], None]]:
        """Topic key -> what takes its messages."""
        loop = self._loop
        return {
            "vehicle_control_cmd": loop.on_command,
            "vehicle_control_cmd_manual": lambda message: loop.on_command(message, manual=True),
            "vehicle_control_manual_override": lambda message: loop.on_override(message.data),
            "enable_autopilot": lambda message: self._episode(
                "enable_autopilot", lambda: loop.on_autopilot(message.data)
            ),
            "carla_control": lambda message: loop.on_control(message.command),
            "weather_control": lambda message: self._episode(
                "weather_control", lambda: self._set_weather(message)
            ),
            "set_transform": lambda message: self._episode(
                "set_transform", lambda: self._teleport(message)
            ),
            "initialpose": lambda message: self._episode(
                "initialpose", lambda: self._teleport(message.pose.pose)
            ),
            "set_target_velocity": lambda message: self._episode(
                "set_target_velocity", lambda: self._push(message)
            ),
            "goal": self._replanner.on_goal,
            "debug_marker": self._debug_marker,
        }

    def _episode(self, kind: str, act: Callable[[], None]) -> None:
        """Do something to the running episode; say so when it cannot be done."""
        if not self._loop.started:
            self._complain(kind, "no episode has been started yet")
            return
        try:
            act()
        except UserError as error:
            self._complain(kind, f"{error}; refused")

    def _set_weather(self, message: CarlaWeatherParameters) -> None:
        values = {field.name: float(getattr(message, field.name)) for field in fields(Weather)}
        self._source.set_weather(Weather(**values))

    def _teleport(self, pose: Pose) -> None:
        place = ground_pose(pose)
        before = self._source.frame().ego
        self._source.teleport(*place)
        self._replanner.after_jump(before, place)

    def _push(self, twist: Twist) -> None:
        values = twist.linear.x, twist.linear.y, twist.angular.z
        if not all(map(math.isfinite, values)):
            raise UserError("the velocity is not finite")
        if not self._loop.overridden:
            self._source.push(*values)

    def _debug_marker(self, message: MarkerArray) -> None:
        """Accepted as CARLA's bridge does, and drawn nowhere: there is no spectator here."""
        for marker in message.markers:
            if marker.header.frame_id != "map":
                self._complain("debug_marker", "only markers in the frame 'map' can be drawn")
            elif marker.type not in _DRAWABLE:
                self._complain("debug_marker", "only points, line strips, arrows and cubes")
            elif len(marker.points) < _TOO_FEW_POINTS.get(marker.type, 0):
                self._complain("debug_marker", "arrows and line strips need two points")
