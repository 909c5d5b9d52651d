"""The safety gate around a driver in process: what it is told of a frame, and what it answers."""

from __future__ import annotations

import math

import numpy as np

from wm_perception.frame import Command, SceneFrame
from wm_planner.gate import Gate, GateDecision
from wm_planner.gate_config import GateConfig
from wm_planner.gate_events import Odometry, Proposal, RoadUsers, RouteKnown, Speed

UNUSABLE = Command(math.nan, math.nan)
FULL_BRAKE = Command(0.0, -1.0)


class Guard:
    """A gate for one route after another; every driver that is compared passes the same.

    Args:
        config: of the gate.
        active: False leaves the gate out, to measure what it is worth.

    Attributes:
        decision: the gate's last, None before the first.
    """

    def __init__(self, config: GateConfig | None = None, active: bool = True):
        self._config, self._active = config or GateConfig(), active
        self.reset()

    def reset(self, route: np.ndarray | None = None) -> None:
        """Begin a route: (n, 2) points, map frame, or None where it is not known."""
        self._gate = Gate(self._config)
        if route is not None:
            self._gate.update(RouteKnown(route, 0.0))
        self.decision: GateDecision | None = None

    def command(
        self,
        frame: SceneFrame,
        wish: Command | None,
        feasible: bool = True,
        stop_requested: bool = False,
        reason: str = "",
    ) -> Command:
        """The gate's answer to a wish. Simulated time is its clock, so drives are reproducible.

        Args:
            frame: the frame that the wish answers.
            wish: what the driver wants, None when it has nothing usable.
            feasible, stop_requested, reason: what it says of that, as in a control proposal.

        Raises:
            RuntimeError: the gate gave no command.
        """
        if not self._active:
            return wish or FULL_BRAKE
        ego, now_s = frame.ego, frame.stamp_ns * 1e-9
        wish = wish or UNUSABLE
        events = (
            RoadUsers(frame.stamp_ns, frame.objects, now_s),
            Speed(ego.speed_mps, now_s),
            Odometry(
                frame.stamp_ns, now_s, ego.x, ego.y, ego.yaw, ego.speed_mps, ego.yaw_rate_radps
            ),
            Proposal(
                frame.stamp_ns,
                wish.steer,
                wish.accel,
                now_s,
                feasible=feasible,
                stop_requested=stop_requested,
                reason=reason,
            ),
        )
        command = None
        for event in events:
            self.decision = self._gate.update(event)
            command = self.decision.command or command
        if command is None:
            raise RuntimeError(f"the gate left frame {frame.stamp_ns} without a command")
        return command
