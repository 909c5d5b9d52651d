"""The bridge's loop over a simulator, without ROS: who ticks when, and what is published.

In lockstep a frame is published, then one command is awaited (at most ``command_wait_s`` of wall
time), then the simulator ticks: exactly one tick per accepted command. Without a command the last
one is held, as CARLA does, until the watchdog brakes. In real time the loop is paced and takes
whatever command is newest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from wm_dynamics.errors import UserError
from wm_perception.conventions import from_vehicle_control
from wm_perception.frame import Command, SceneFrame
from wm_perception.messages import stamp_ns as to_ns
from wm_perception.route import Route
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_messages import truncated
from wm_sim.bridge_publisher import BridgePublisher
from wm_sim.bridge_source import BridgeSource
from wm_sim.world import World

PLAY, PAUSE, STEP_ONCE = 0, 1, 2
PAUSED_STATUS_S = 0.5
# A command for an earlier frame takes effect, but the loop gives the one for this frame that much
# more wall time: otherwise one late command would leave the drive one frame behind for good.
LATE_GRACE_S = 0.1
FIRST_ANSWER_S = 10.0
STAMP_TOLERANCE_NS = 1_000_000
FULL_BRAKE = Command(0.0, -1.0)
# Pedals and steering beyond this are no rounding errors: whoever sends them is broken.
ABSURD_CONTROL = 10.0


@dataclass(frozen=True)
class Started:
    """A new episode: length of its route (m) and the stamp (ns) of its first frame."""

    length_m: float
    stamp_ns: int


class BridgeLoop:
    """Drives a :class:`BridgeSource` and publishes what it shows.

    Attributes:
        running: frames are produced.
        ticks: simulator steps so far.
        timeouts: lockstep frames that no command answered.
        overruns: real-time frames that came more than one period late.
        braked: steps in which the watchdog braked.
        rejected: commands that were not finite, or absurd.
        unexpected: commands that came when one had already been taken for the frame.
        seed: of the episode.
        episode_ns: stamp of its first frame.
    """

    def __init__(
        self,
        source: BridgeSource,
        config: BridgeConfig,
        out: BridgePublisher,
        now: Callable[[], float] = time.monotonic,
    ):
        """Set up a loop that is paused until :meth:`start_route`.

        Args:
            source: the simulator.
            config: parameters.
            out: sends what there is to send.
            now: steady clock, s.
        """
        self._source, self._config, self._out = source, config, out
        self._now = now
        self.running = False
        self.ticks = self.timeouts = self.overruns = self.braked = 0
        self.rejected = self.unexpected = 0
        self._frame: SceneFrame | None = None
        self._offset_ns = self.episode_ns = self.seed = 0
        self._number = 0
        self._override = False
        self._pause_after = False
        self._fresh = False  # the first frame of an episode has yet to be published
        self._patient_until_s = -math.inf
        self._last_status_s = -math.inf
        self._forget_command()

    def _forget_command(self) -> None:
        self._command = Command()
        self._command_ns: int | None = None
        self._answered = False
        self._due_s = math.inf

    # Episodes and run state.

    def start_route(
        self,
        route: int,
        seed: int,
        traffic: int,
        suite: str,
        world: World | None = None,
        patient: bool = False,
    ) -> Started:
        """Pause, begin an episode, publish its latched topics; :meth:`poll` then runs it.

        Args:
            route: index in the suite.
            seed: of the traffic.
            traffic: number of other cars.
            suite: route list.
            world: what else there is; an empty, dry day by default.
            patient: in lockstep, send the first frame again while nothing answers it, for at most
                ``FIRST_ANSWER_S``, before time goes on. A subscriber that the middleware has not
                matched yet loses the first frame, and the episode would begin differently.

        Raises:
            UserError: there is no such route; what ran before goes on.
        """
        last_ns = self._frame.stamp_ns + self._offset_ns if self._frame else None
        was_running = self.running
        self._set_running(False)
        try:
            scene = self._source.start_route(route, seed, traffic, suite, world or World())
        except UserError:
            self._set_running(was_running)
            raise
        self._frame = self._source.frame()
        if last_ns is not None:  # time never goes back, whatever the simulator's clock does
            dt_ns = round(self._config.frame_dt * 1e9)
            self._offset_ns = max(0, last_ns + dt_ns - self._frame.stamp_ns)
        self.episode_ns, self.seed = self.stamp_ns, seed
        self._source.autopilot = False
        self._out.scene(scene, self.stamp_ns)
        self._forget_command()
        self._fresh = True
        self._pause_after = False
        self._patient_until_s = self._now() + FIRST_ANSWER_S if patient else -math.inf
        self.running = True
        return Started(scene.route.length_m, self.stamp_ns)

    @property
    def stamp_ns(self) -> int:
        """Stamp of the current frame on the topics.

        Raises:
            RuntimeError: no episode has been started.
        """
        if self._frame is None:
            raise RuntimeError("start a route first")
        return truncated(self._frame.stamp_ns + self._offset_ns)

    @property
    def started(self) -> bool:
        """An episode has begun."""
        return self._frame is not None

    def reroute(self, route: Route) -> None:
        """Publish another path for the current episode."""
        self._out.route(route, self.stamp_ns)

    def _set_running(self, running: bool) -> None:
        self.running = running
        self._publish_status()

    def on_control(self, command: int) -> None:
        """CarlaControl: PLAY, PAUSE or STEP_ONCE."""
        if self._frame is None:
            return
        self._pause_after = command == STEP_ONCE
        self._set_running(command != PAUSE)
        if self.running:
            self._due_s = self._now() + self._period_s
            self._answered = self._answered or command == STEP_ONCE

    # Commands.

    def on_override(self, manual: bool) -> None:
        """The manual override flag."""
        self._override = manual

    @property
    def overridden(self) -> bool:
        """Commands count only from the manual topic."""
        return self._override

    def on_autopilot(self, enabled: bool) -> None:
        """The rule-based expert drives; time goes on at its own pace and commands do nothing."""
        self._source.autopilot = enabled
        if self._config.synchronous:
            self._due_s = self._now() + self._period_s

    def on_command(self, message, manual: bool = False) -> None:
        """CarlaEgoVehicleControl from the stack, or from the manual topic."""
        stamp = to_ns(message.header.stamp)
        if manual != self._override or self._frame is None:
            return
        if stamp and stamp < self.episode_ns - STAMP_TOLERANCE_NS:
            return  # an answer to the episode before
        values = message.throttle, message.steer, message.brake
        if not all(abs(value) <= ABSURD_CONTROL for value in values):  # a NaN fails too
            self.rejected += 1
            return
        brake = 1.0 if message.hand_brake else message.brake
        self._command = from_vehicle_control(
            message.throttle, message.steer, brake, message.reverse
        )
        self._command_ns = self.stamp_ns
        if self._fresh:
            return
        self.unexpected += self._answered and self._config.synchronous
        if stamp and stamp < self.stamp_ns - STAMP_TOLERANCE_NS:
            self._due_s = min(self._due_s, self._now() + LATE_GRACE_S)
        else:
            self._answered = True

    # Time.

    def poll(self) -> float:
        """Do what is due now; returns the seconds until something is due without a message."""
        now = self._now()
        if not self.running:
            if now - self._last_status_s >= PAUSED_STATUS_S:
                self._publish_status()
            return PAUSED_STATUS_S
        if self._fresh:
            self._fresh = False
            self._show(now)
        elif self._config.synchronous:
            free = self._answered or self._source.autopilot
            if not free and now >= self._due_s and now < self._patient_until_s:
                self._show(now)
            elif self._answered or now >= self._due_s:
                self.timeouts += not free
                self._tick()
        elif now >= self._due_s:
            if now > self._due_s + self._period_s:
                self.overruns += 1
                self._due_s = now
            self._tick()
        return 0.0 if self._answered else max(0.0, self._due_s - self._now())

    @property
    def _period_s(self) -> float:
        """Wall time until the next tick when no command comes."""
        if self._config.synchronous and not self._source.autopilot:
            return self._config.command_wait_s
        return self._config.frame_dt / self._config.realtime_factor

    def _tick(self) -> None:
        command = self._command
        if self._silent():
            command = FULL_BRAKE
            self.braked += 1
        self._frame = self._source.step(command)
        self.ticks += 1
        self._number += 1
        self._answered = False
        self._patient_until_s = -math.inf
        if self._pause_after:
            self.running = self._pause_after = False
        self._show(self._now())

    def _silent(self) -> bool:
        """No command for so long (simulated time) that the watchdog brakes."""
        if self._source.autopilot or self._command_ns is None or self._config.watchdog_s == 0:
            return False
        age_s = (self.stamp_ns - self._command_ns) * 1e-9
        return age_s >= self._config.watchdog_s - 0.5 * self._config.frame_dt

    def _show(self, now: float) -> None:
        """Publish the current frame and set when the next one is due."""
        self._publish_status()
        frame = replace(self._source.frame(), stamp_ns=self.stamp_ns)
        self._out.frame(frame, self._number)
        if self._config.synchronous:
            self._due_s = self._now() + self._period_s
        else:
            self._due_s = (self._due_s if math.isfinite(self._due_s) else now) + self._period_s

    def _publish_status(self) -> None:
        self._last_status_s = self._now()
        self._out.status(self._number, self.running)
