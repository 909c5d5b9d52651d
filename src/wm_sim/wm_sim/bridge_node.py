"""ROS node: the embedded simulator behind the topics of carla-ros-bridge."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from rclpy.parameter import Parameter

from wm_dynamics.errors import UserError
from wm_msgs.msg import FaultArray
from wm_perception.node_tools import (
    create_node,
    parameters,
    run,
    serve,
    steady_timer,
    subscription,
    time_message,
)
from wm_perception.sensor_topics import SENSOR_TOPICS
from wm_perception.topics import START_ROUTE_SERVICE, Topic, topic
from wm_sim.ackermann_input import AckermannInput
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_inputs import Inputs
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.bridge_outputs import Outputs
from wm_sim.bridge_pseudo import PseudoSensors
from wm_sim.bridge_publisher import BridgePublisher
from wm_sim.bridge_rig import bridge_rig, simulated_rig
from wm_sim.bridge_route import Replanner
from wm_sim.bridge_sensors import Sensors
from wm_sim.bridge_services import Services
from wm_sim.bridge_walkers import Walkers
from wm_sim.faults_control import FaultControl
from wm_sim.interfaces import INTERFACES
from wm_sim.rig import EVENTS, PseudoSensor, Rig
from wm_sim.simulator import Simulator
from wm_sim.world import World

REPORT_S = 5.0
SETTLE_STEPS, SETTLE_STEP_S = 10, 0.1
MATCH_S = 15.0  # longest wait for listeners that were announced
EXPLANATIONS = {
    "timeouts": "frames no command answered within the wait",
    "overruns": "frames came late; lower realtime_factor or the load",
    "braked": "steps without a command for watchdog_s: braking fully",
    "rejected": "commands that are not finite, or absurd, were refused",
    "unexpected": "commands beyond the one per frame",
}


class BridgeNode:
    """Simulator, loop and their ROS ends.

    Args:
        make_simulator: builds the source, with :class:`Simulator`'s arguments.
    """

    def __init__(self, make_simulator: Callable[..., Any] = Simulator):
        self.node = create_node("carla_ros_bridge")
        self.config = config = parameters(self.node, BridgeConfig)
        self._log = self.node.get_logger()
        rig = bridge_rig(config)
        self._simulator = make_simulator(config.town, config.frame_dt, rig=simulated_rig(rig))
        self._settled = self._warm = False
        self._subscriptions: dict[str, Any] = {}
        self._heard: dict[str, type] = {}
        complain = Complaints(self._log.warning)
        self.outputs = Outputs(self.node, config.role_name)
        self.sensors = Sensors(self._simulator, self.outputs, config, complain)
        self._interface = INTERFACES[config.interface]
        self.faults = FaultControl(config.faults, self._send, self._announce)
        out = BridgePublisher(
            config,
            self._simulator,
            self.faults.publish,
            self.outputs.wanted,
            self.sensors,
            lambda: [*self.sensors.actors(), *self._pseudo.actors(self._simulator.ego_id)],
        )
        self.loop = BridgeLoop(self._simulator, config, out)
        replanner = Replanner(self._simulator, self.loop, complain)
        ackermann = AckermannInput(self._simulator, self.loop, config.frame_dt, complain)
        self._handlers = {
            **Inputs(self._simulator, self.loop, replanner, complain).handlers(),
            **ackermann.handlers(),
        }
        self._pseudo = PseudoSensors(self._open, self._close)
        self._walkers = Walkers(self._simulator, self._listen, self._close, complain)
        self._equip(rig)
        self._serve(complain)
        self.faults.start(self.loop, self._types)
        self._reported = dict.fromkeys(EXPLANATIONS, 0)
        steady_timer(self.node, REPORT_S, self._report)
        if not config.wait_for_start:
            self._begin(config.route, config.seed, config.traffic, config.suite, config.world)
        self._log.info(
            f"town {config.town}, role {config.role_name}, "
            + ("lockstep" if config.synchronous else f"real time x{config.realtime_factor:g}")
            + (f", waiting for {START_ROUTE_SERVICE}" if config.wait_for_start else "")
        )

    # Topics and services.

    def _equip(self, rig: Rig) -> None:
        """Open the topics that are always there, then those of the rig."""
        self.outputs.add(topic("faults"))
        for key in (*self._interface.published, *self._interface.heard):
            self._open(self._interface.topic(key))
        events = [PseudoSensor(s.id, s.type, rig.role) for s in rig.sensors if s.type in EVENTS]
        for sensor in (*rig.pseudo, *events):
            if self._interface.has(sensor.type):
                self._pseudo.offer(sensor)
        for spec in rig.sensors:
            if spec.type in SENSOR_TOPICS:
                self.sensors.offer(spec)
            elif spec.type not in EVENTS:
                self._log.warning(f"sensor '{spec.id}' is left out: no {spec.type} is simulated")

    def _open(self, entry: Topic) -> None:
        entry = self._interface.quality(entry)
        if entry.publisher == "source":
            self.outputs.add(entry)
        else:
            self._listen(entry, self._handlers[entry.key])

    def _listen(self, entry: Topic, handler: Callable[[Any], None]) -> None:
        heard = self.faults.heard(entry.key, handler)
        self._subscriptions[entry.key] = subscription(
            self.node, entry, self.config.role_name, heard
        )
        self._heard[entry.key] = entry.message_type()

    def _close(self, entry: Topic) -> None:
        if entry.publisher == "source":
            self.outputs.remove(entry.key)
        else:
            self.node.destroy_subscription(self._subscriptions.pop(entry.key))
            del self._heard[entry.key]

    def _types(self) -> dict[str, type]:
        """Topic key -> message class of everything that faults can hit now."""
        published = {e.key: e.message_type() for e in self.outputs.entries if e.key != "faults"}
        return {**published, **self._heard}

    def _send(self, key: str, message: Any) -> None:
        for item in self._interface.outgoing(key, message, self.config.role_name):
            self.outputs.publish(key, item)

    def _announce(self, message: FaultArray) -> None:
        self.outputs.publish("faults", message)

    def poll(self) -> float:
        """Do what is due now; returns the seconds until something is due without a message."""
        wait_s = self.loop.poll()
        self.faults.release()
        return wait_s

    def _serve(self, complain: Complaints) -> None:
        config = self.config
        services = Services(
            self._simulator,
            self.loop,
            self.sensors,
            self._pseudo,
            self._walkers,
            config.role_name,
            complain,
            config.seed,
        )
        own = {"start_route": self._start_route, "set_faults": self.faults.on_set}
        theirs = services.handlers() if self._interface.services else {}
        for key, handler in {**theirs, **own}.items():
            serve(self.node, key, config.role_name, handler)

    # Episodes.

    def _begin(self, route: int, seed: int, traffic: int, suite: str, world: World, **how):
        started = self.loop.start_route(route, seed, traffic, suite, world, **how)
        self._walkers.clear()
        if not self._warm:
            self._warm = True
            self.sensors.warm_up()
        return started

    def _settle(self, expected: int) -> None:
        """Before an episode, let the middleware match whoever is just being found.

        A subscriber that is matched later misses frames for good, and time stands still anyway.

        Args:
            expected: listeners of odometry that the caller knows of; 0 when he does not say.
        """
        latest = time.monotonic() + MATCH_S
        count, steps = -1, 0
        while not self._settled and steps < SETTLE_STEPS:
            found = self.outputs.listeners("odometry")
            count, steps = found, steps + 1 if found == count else 0
            time.sleep(SETTLE_STEP_S)
        while self.outputs.listeners("odometry") < expected and time.monotonic() < latest:
            time.sleep(SETTLE_STEP_S)
        self._settled = True

    def _start_route(self, request, response):
        self._settle(request.listeners)
        try:
            world = World(
                request.trucks,
                request.cyclists,
                request.pedestrians,
                request.parked,
                request.weather or "day",
                request.scenario,
            )
            suite = request.suite or self.config.suite
            started = self._begin(
                request.route, request.seed, request.traffic, suite, world, patient=True
            )
        except UserError as error:
            response.success, response.message = False, str(error)
            return response
        self._say_what_runs(request, suite, world)
        response.success = True
        response.length = float(started.length_m)
        response.stamp = time_message(started.stamp_ns)
        return response

    def _say_what_runs(self, request, suite: str, world: World) -> None:
        """The node's parameters are those of the episode that runs, not of the first."""
        counts = ("route", "seed", "traffic", "trucks", "cyclists", "pedestrians", "parked")
        values = {name: getattr(request, name) for name in counts}
        values |= {"suite": suite, "weather": world.weather, "scenario": world.scenario}
        self.node.set_parameters([Parameter(name, value=v) for name, v in values.items()])

    def _report(self) -> None:
        """Warn about what was counted since the last report."""
        for name, explanation in EXPLANATIONS.items():
            count = getattr(self.loop, name)
            if count > self._reported[name]:
                self._log.warning(f"{count - self._reported[name]} {explanation}")
                self._reported[name] = count

    def close(self) -> None:
        """Release the simulator."""
        self._simulator.close()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``bridge_node``."""
    return run(BridgeNode, args, poll=lambda bridge: bridge.poll())


if __name__ == "__main__":
    sys.exit(main())
