"""The real graph, each node a process, on the small town: started, driven, broken, mended."""

from __future__ import annotations

import itertools
import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fault_rows import Row
from fault_watch import ROLE, Event, Watch

from wm_dynamics.checkpoint import load_checkpoint
from wm_msgs.srv import SetFaults, StartRoute
from wm_perception.topics import service, topic
from wm_planner.gate_config import GateConfig
from wm_planner.launcher import Launcher, node_command
from wm_planner.node_table import NodeSpec, drive_options, node_table, resolve_model
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.process import Process, node_environment

NOMINAL, COMFORT_STOP, EMERGENCY_STOP, HOLD = 1, 2, 3, 4
STATES = ("waiting", "nominal", "comfort stop", "emergency stop", "hold")
STOPPING = (COMFORT_STOP, EMERGENCY_STOP, HOLD)
FRAME_S = 0.1  # the control period P of the shipped configuration
FRAME_NS = 100_000_000
CRUISE_MPS = 5.0
ROUTES = 24
MANAGED = ("perception", "planner", "gate")
READY_S = 90.0
LEAD_NS = 3 * FRAME_NS  # between asking for a fault and its first frame


class Graph:
    """Running nodes, the watch beside them, and what tests do to both.

    Attributes:
        watch: hears everything.
        launcher: has the processes.
        environment: of the nodes.
    """

    def __init__(
        self,
        watch: Watch,
        launcher: Launcher,
        specs: tuple[NodeSpec, ...],
        environment: Mapping[str, str],
    ):
        self.watch, self.launcher = watch, launcher
        self.environment = dict(environment)
        self._specs = {spec.key: spec for spec in specs}
        node = watch.node
        self._start = node.create_client(StartRoute, service("start_route").name())
        self._set = node.create_client(SetFaults, service("set_faults").name())
        self._route = -1
        self._began_ns = 0

    # ------------------------------------------------------------------ driving

    def wait_active(self) -> None:
        """Wait until every lifecycle node says that it is active."""
        managed = {
            f"{spec.name}: lifecycle" for spec in self._specs.values() if spec.key in MANAGED
        }

        def ready() -> bool:
            self.launcher.check()
            states = lifecycle_states(self.watch)
            return all(states.get(name) == "active" for name in managed)

        self.watch.until(ready, "all nodes are active", READY_S)

    def call(self, client, request) -> Any:
        """The answer of a service."""
        self.watch.until(client.service_is_ready, "a service of the bridge")
        future = client.call_async(request)
        self.watch.until(future.done, "the answer of a service")
        answer = future.result()
        assert answer.success, answer.message
        return answer

    def new_episode(self) -> None:
        """Begin the next route."""
        self._route = (self._route + 1) % ROUTES
        listeners = self.watch.node.count_subscribers(topic("odometry").name(ROLE))
        answer = self.call(self._start, StartRoute.Request(route=self._route, listeners=listeners))
        self._began_ns = answer.stamp.sec * 10**9 + answer.stamp.nanosec

    def cruise(self, speed_mps: float = CRUISE_MPS) -> None:
        """Drive a new route, undisturbed, until the vehicle has some speed."""
        mark, watch = self.mark, self.watch
        self.set_faults()
        self.new_episode()
        nominal = watch.first("safety_state", lambda m: m.state == NOMINAL, mark, self._began_ns)
        watch.first("vehicle_status", lambda m: m.velocity >= speed_mps, mark, nominal.stamp_ns)

    @property
    def state(self) -> int:
        """Of the gate."""
        event = self.watch.last("safety_state")
        return event.message.state if event else 0

    @property
    def mark(self) -> int:
        """How many events there are: what comes from here on is news."""
        return len(self.watch.events)

    @property
    def now_ns(self) -> int:
        """Stamp of the newest frame."""
        event = self.watch.last("vehicle_status")
        return event.stamp_ns if event else 0

    @property
    def driven_s(self) -> float:
        """Simulated seconds since the episode began."""
        return (self.now_ns - self._began_ns) * 1e-9

    # ------------------------------------------------------------------ what was seen

    def ticks(self, start_ns: int, event: Event) -> float:
        """Simulated seconds between the frame of ``start_ns`` and the frame of an event, by stamps.

        0.0 is the same tick.
        """
        return max(0, event.stamp_ns - start_ns) * 1e-9

    def passed(self, start_ns: int, event: Event) -> float:
        """As :meth:`ticks`, by the frames that were published until the event was.

        For events that are not stamped with simulated time, or with a wrong one.
        """
        self.watch.until(
            lambda: self.watch.last("vehicle_status").sent_s > event.sent_s, "the drive goes on"
        )
        later = (
            e for e in self.watch.of("vehicle_status") if e.stamp_ns > start_ns + FRAME_NS // 2
        )
        return FRAME_S * sum(e.sent_s < event.sent_s for e in later)

    def stopped(self, mark: int) -> Event:
        """The first event after ``mark`` in which the gate stops the vehicle."""
        return self.watch.first("safety_state", lambda m: m.state in STOPPING, mark)

    def tripped(self, rule: str, mark: int) -> Event:
        """The first event after ``mark`` in which a rule of the gate is tripped."""
        return self.watch.first(
            "safety_state", lambda m: any(r.name == rule and r.tripped for r in m.rules), mark
        )

    def recovered(self, row: Row, stop: Event, least: int) -> None:
        """Wait until the gate is nominal again; that must take some good proposals in a row."""
        mark = self.watch.events.index(stop)
        nominal = self.watch.first("safety_state", lambda m: m.state == NOMINAL, mark)
        # Topics overtake each other on the way here.
        self.watch.until(
            lambda: self.watch.last("control_proposal").sent_s > nominal.sent_s, "the drive goes on"
        )
        events = self.watch.of("control_proposal", mark)
        before = [e.message for e in events if e.sent_s <= nominal.sent_s]
        good = 0
        while before and _is_good(before.pop()):
            good += 1
        assert good >= least, f"re-armed after {good} good proposals, not {least}"
        row.recovery = f"after {least} good proposals in a row"

    # ------------------------------------------------------------------ faults

    def set_faults(self, *faults: str) -> None:
        """Replace the bridge's faults; their times count from the current frame."""
        self.call(self._set, SetFaults.Request(faults=list(faults)))

    def inject(self, *faults: str) -> int:
        """Set faults whose texts have ``{at}`` where they begin; the stamp they begin at, ns."""
        told = len(self.watch.events)
        start_s = LEAD_NS * 1e-9
        self.set_faults(*(fault.format(at=f"@{start_s:g}") for fault in faults))
        array = self.watch.first("faults", lambda m: m.faults, told)
        return array.stamp_ns + LEAD_NS

    def restart(self, key: str) -> None:
        """Start the process of a node that has ended once more."""
        old = self.launcher.processes[key]
        old.wait(5.0)
        spec = self._specs[key]
        folder = old.log.parent.parent
        command = node_command(spec, folder / "parameters" / f"{key}.yaml")
        log = old.log.with_name(f"{key}_again.log")
        self.launcher.processes[key] = Process(key, command, log, self.environment)

    def publishers(self, name: str, count: int) -> float:
        """Wait until so many publish a topic; when that was seen, s of this machine's clock."""
        node = self.watch.node
        self.watch.until(
            lambda: node.count_publishers(name) == count, f"{count} publish {name}", READY_S
        )
        return time.time()

    @property
    def model_novelty(self) -> float:
        """The score above which the shipped model calls a frame unusual."""
        novelty = load_checkpoint(model_path(DEFAULT_MODEL)).novelty
        assert novelty is not None
        return novelty.threshold

    def kill(self, key: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a node."""
        self.launcher.processes[key].send(number)


def _is_good(proposal) -> bool:
    finite = math.isfinite(proposal.steer) and math.isfinite(proposal.accel)
    return finite and proposal.feasible and not proposal.stop_requested


def what(event: Event) -> str:
    """State and reason of a gate's event, in words."""
    return f"{STATES[event.message.state]}: {event.message.reason}"


def assert_within_limits(graph: Graph, mark: int) -> None:
    """Every command is finite, on its scale, and follows the one before within the limits."""
    limits, lock = GateConfig().limits, GateConfig().vehicle.max_steer_rad
    commands = graph.watch.of("vehicle_control_cmd", mark)
    assert commands, "something was commanded"
    for a, b in itertools.pairwise(commands):
        m, n = a.message, b.message
        assert all(map(math.isfinite, (n.steer, n.throttle, n.brake)))
        assert abs(n.steer) <= 1.0 and 0.0 <= n.throttle <= 1.0 and 0.0 <= n.brake <= 1.0
        passed_s = max(FRAME_S, (b.stamp_ns - a.stamp_ns) * 1e-9)
        turned = abs(n.steer - m.steer) * lock
        assert turned <= 1.001 * limits.steer_rate_radps * passed_s, "float32 on the way"


def is_warning(message, name: str) -> bool:
    """Whether a DiagnosticArray has a status of that name that is not ok."""
    return any(status.name == name and status.level != b"\x00" for status in message.status)


def lifecycle_states(watch: Watch) -> dict[str, str]:
    """Name of the status -> lifecycle state, as last heard on /diagnostics."""
    found: dict[str, str] = {}
    for event in watch.of("diagnostics"):
        for status in event.message.status:
            for value in status.values:
                if value.key == "state":
                    found[status.name] = value.value
    return found


@contextmanager
def running_graph(
    folder: Path,
    domain_id: int,
    environment: Mapping[str, str],
    modules: Mapping[str, str] | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    without: tuple[str, ...] = (),
    **options: Any,
) -> Iterator[Graph]:
    """Start a graph and end it.

    Args:
        folder: for logs and parameters.
        domain_id: ROS domain.
        environment: of the nodes.
        modules: key of a node -> module to run instead of its own.
        parameters: key of a node -> parameters on top.
        without: keys of nodes that are left out.
        options: of the drive.
    """
    values = {"town": "tiny", "camera": False, "wait_for_start": True, **options}
    chosen = drive_options(values)
    table = [s for s in node_table(chosen, resolve_model(chosen, folder)) if s.key not in without]
    names = [spec.name for spec in table if spec.key in MANAGED]
    given = {"manager": {"nodes": names}, **(parameters or {})}
    specs = tuple(
        replace(
            spec,
            module=(modules or {}).get(spec.key, spec.module),
            parameters={**spec.parameters, **given.get(spec.key, {})},
        )
        for spec in table
    )
    watch = Watch(domain_id)
    try:
        environment = node_environment(folder / "ros", environment)
        with Launcher(specs, folder, environment) as launcher:
            launcher.start()
            graph = Graph(watch, launcher, specs, environment)
            graph.wait_active()
            yield graph
    finally:
        watch.close()
