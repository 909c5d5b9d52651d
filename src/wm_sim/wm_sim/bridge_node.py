"""ROS node: the embedded simulator behind the topics of carla-ros-bridge."""

from __future__ import annotations

import sys
import time

from wm_dynamics.errors import UserError
from wm_msgs.srv import StartRoute
from wm_perception.node_tools import (
    create_node,
    parameters,
    publisher,
    run,
    steady_timer,
    subscription,
    time_message,
)
from wm_perception.topics import START_ROUTE_SERVICE, topic
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.simulator import Simulator

CAMERA_KEYS = ("image", "camera_info")
PUBLISHED = (
    "clock",
    "status",
    "world_info",
    "map",
    "traffic_lights_info",
    "traffic_lights_status",
    "vehicle_info",
    "waypoints",
    "collision",
    "lane_invasion",
    "speedometer",
    "vehicle_status",
    "objects",
    "ego_objects",
    "tf",
    "odometry",
)
REPORT_S = 5.0
# carla-ros-bridge keeps 10 samples, which lockstep without its slow ticks overwrites before a
# listener on a busy machine has acknowledged them. The number is not visible to anybody else.
UNACKNOWLEDGED = 200
SETTLE_STEPS, SETTLE_STEP_S = 10, 0.1
COUNTED = ("timeouts", "overruns", "braked", "rejected", "unexpected")


class BridgeNode:
    """Simulator, loop and their ROS ends."""

    def __init__(self, make_simulator=Simulator):
        """Args: make_simulator: builds the frame source, with :class:`Simulator`'s arguments."""
        self.node = create_node("carla_ros_bridge")
        self.config = config = parameters(self.node, BridgeConfig)
        self._log = self.node.get_logger()
        self._simulator, fov_deg = self._simulate(make_simulator)
        keys = PUBLISHED + (CAMERA_KEYS if config.camera else ())
        self._publishers = {key: self._publisher(key) for key in keys}
        self._settled = False
        self.loop = BridgeLoop(
            self._simulator, config, self._publish, self._wanted, fov_deg=fov_deg
        )
        self._listen()
        self._reported = dict.fromkeys(COUNTED, 0)
        steady_timer(self.node, REPORT_S, self._report)
        if not config.wait_for_start:
            self.loop.start_route(config.route, config.seed, config.traffic, config.suite)
        self._log.info(
            f"town {config.town}, role {config.role_name}, "
            + ("lockstep" if config.synchronous else f"real time x{config.realtime_factor:g}")
            + (f", waiting for {START_ROUTE_SERVICE}" if config.wait_for_start else "")
        )

    def _simulate(self, make_simulator):
        """The simulator and its camera's field of view; without EGL there is no camera."""
        config = self.config
        if config.camera:
            from wm_sim.camera import CameraConfig, CameraUnavailable

            camera = CameraConfig(width=config.camera_width, height=config.camera_height)
            try:
                return make_simulator(config.town, config.frame_dt, camera), camera.fov_deg
            except CameraUnavailable as error:
                self._log.warning(f"no camera image will be published: {error}")
                self.config = config.model_copy(update={"camera": False})
        return make_simulator(config.town, config.frame_dt, None), 90.0

    def _publisher(self, key: str):
        entry = topic(key)
        depth = entry.depth if entry.latched or key in CAMERA_KEYS else UNACKNOWLEDGED
        return publisher(self.node, key, self.config.role_name, depth)

    def _listen(self) -> None:
        role, loop = self.config.role_name, self.loop
        subscription(self.node, "vehicle_control_cmd", role, loop.on_command)
        subscription(
            self.node, "vehicle_control_cmd_manual", role, lambda m: loop.on_command(m, manual=True)
        )
        subscription(
            self.node, "vehicle_control_manual_override", role, lambda m: loop.on_override(m.data)
        )
        subscription(self.node, "carla_control", role, lambda m: loop.on_control(m.command))
        self.node.create_service(StartRoute, START_ROUTE_SERVICE, self._start_route)

    def _publish(self, key: str, message) -> None:
        self._publishers[key].publish(message)

    def _wanted(self, key: str) -> bool:
        found = self._publishers.get(key)
        return found is not None and found.get_subscription_count() > 0

    def _settle(self) -> None:
        """Before the first episode, let the middleware match whoever is just being found.

        A subscriber that is matched later misses frames for good, and time stands still anyway.
        """
        count, steps = -1, 0
        while not self._settled and steps < SETTLE_STEPS:
            found = self._publishers["odometry"].get_subscription_count()
            count, steps = found, steps + 1 if found == count else 0
            time.sleep(SETTLE_STEP_S)
        self._settled = True

    def _start_route(self, request, response):
        self._settle()
        try:
            suite = request.suite or self.config.suite
            started = self.loop.start_route(
                request.route, request.seed, request.traffic, suite, patient=True
            )
        except UserError as error:
            response.success, response.message = False, str(error)
            return response
        response.success = True
        response.length = float(started.length_m)
        response.stamp = time_message(started.stamp_ns)
        return response

    def _report(self) -> None:
        """Warn about what was counted since the last report."""
        explanations = {
            "timeouts": "frames no command answered within the wait",
            "overruns": "frames came late; lower realtime_factor or the load",
            "braked": "steps without a command for watchdog_s: braking fully",
            "rejected": "commands that are not finite were refused",
            "unexpected": "commands beyond the one per frame",
        }
        for name in COUNTED:
            count = getattr(self.loop, name)
            if count > self._reported[name]:
                self._log.warning(f"{count - self._reported[name]} {explanations[name]}")
                self._reported[name] = count

    def close(self) -> None:
        """Release the simulator."""
        self._simulator.close()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``bridge_node``."""
    return run(BridgeNode, args, poll=lambda bridge: bridge.loop.poll())


if __name__ == "__main__":
    sys.exit(main())
