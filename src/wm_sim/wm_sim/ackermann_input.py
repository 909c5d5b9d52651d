"""Ackermann commands as the bridge hears them, of either interface, to vehicle commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wm_perception.conventions import ackermann_steering
from wm_sim.ackermann import AckermannControl, AckermannTarget
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.bridge_messages import control
from wm_sim.bridge_source import BridgeSource
from wm_sim.vehicle import MASS_KG, MAX_STEER_RAD


class AckermannInput:
    """Turns each message into the vehicle command of its frame.

    carla_ackermann_control repeats its command at 20 Hz whatever happens; here one message answers
    one frame, so that lockstep waits for whoever drives.

    Args:
        source: the simulator.
        loop: takes commands.
        frame_dt: s per frame.
        complain: says what was refused.
    """

    def __init__(
        self, source: BridgeSource, loop: BridgeLoop, frame_dt: float, complain: Complaints
    ):
        self._source, self._loop, self._complain = source, loop, complain
        self._control = AckermannControl(frame_dt, MAX_STEER_RAD, MASS_KG)
        self._episode_ns = self._frame_ns = -1
        self._command: Any = None

    def handlers(self) -> dict[str, Callable[[Any], None]]:
        """Topic key -> what takes its messages."""
        return {"ackermann_cmd": self.on_drive, "ackermann_control_cmd": self.on_native}

    def on_drive(self, message: Any) -> None:
        """AckermannDrive of carla_ackermann_control: left positive."""
        self._take(message, right_positive=False)

    def on_native(self, message: Any) -> None:
        """AckermannDriveStamped of the native interface: right positive."""
        self._take(message.drive, right_positive=True)

    def _take(self, drive: Any, right_positive: bool) -> None:
        loop = self._loop
        if not loop.started:
            return
        if loop.episode_ns != self._episode_ns:
            self._control.reset()
        if (loop.episode_ns, loop.stamp_ns) != (self._episode_ns, self._frame_ns):
            try:
                angle = ackermann_steering(drive.steering_angle, right_positive)
                target = AckermannTarget(angle, drive.speed, drive.acceleration)
                speed_mps = self._source.frame().ego.speed_mps
                self._command = control(self._control.command(target, speed_mps))
            except ValueError as error:
                self._complain("ackermann", f"{error}; refused")
                return
            self._episode_ns, self._frame_ns = loop.episode_ns, loop.stamp_ns
        loop.on_command(self._command)
