"""Drives over the live ROS graph: start the nodes, run the routes, end the nodes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_dynamics.errors import UserError
from wm_perception.topics import topic
from wm_planner.launcher import Launcher
from wm_planner.node_table import (
    DriveOptions,
    NodeSpec,
    drive_options,
    node_table,
    resolve_model,
)
from wm_planner.paths import model_path
from wm_planner.process import node_environment
from wm_training.evaluation import Drive
from wm_training.suites import RouteTask

if TYPE_CHECKING:  # it needs ROS, whose environment is set first
    from wm_training.route_runner import RouteRunner

LOG = logging.getLogger(__name__)
DISCOVERY_S = 1.5  # nodes on the same machine usually see each other within a second
READY_S = 120.0  # on a loaded machine, starting so many processes takes a while
CONNECT_S = 30.0  # from configured to active: only the middleware has something to do
HEARD_S = 60.0  # until every process is heard of, on a loaded machine
START_ATTEMPTS = 2  # of a graph whose nodes do not find each other


class NotConnected(UserError):
    """Nodes of a graph do not find each other, or may not act; another start may mend that."""


def checked_options(values: Mapping[str, Any]) -> DriveOptions:
    """Options of a drive whose town and model exist, so that nothing is started in vain.

    Raises:
        UserError: an unknown option, or an unknown town, model, driver or source.
    """
    options = drive_options(values)
    if options.source == "embedded":
        from wm_sim.town_files import load_town

        load_town(options.town)
    if options.driver != "expert":
        model_path(options.model)
    return options


def new_run_dir(parent: Path = Path("runs")) -> Path:
    """A new directory named after the time."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path = parent / stamp
    number = 1
    while path.exists():
        number += 1
        path = parent / f"{stamp}_{number}"
    path.mkdir(parents=True)
    return path


class LiveGraph:
    """Running nodes and the runner that watches them."""

    def __init__(self, options: DriveOptions, launcher: Launcher, runner):
        self._options, self._launcher, self._runner = options, launcher, runner

    def drive(self, task: RouteTask, progress: Callable[[float], None]) -> Drive:
        """Drive one route; see :meth:`wm_training.route_runner.RouteRunner.run`."""
        return self._runner.run(
            task, self._launcher.check, progress, start=self._options.source == "embedded"
        )

    def wait(self, seconds: float | None) -> None:
        """Let the graph run for ``seconds`` of wall time, or until Ctrl-C."""
        timeout = float("inf") if seconds is None else seconds
        self._runner.spin_until(lambda: False, timeout, self._launcher.check)


@contextmanager
def live_graph(
    options: DriveOptions, run_dir: Path, video: Path | None = None, only: tuple[str, ...] = ()
) -> Iterator[LiveGraph]:
    """The nodes of ``options`` as processes, ready; all ended on leaving.

    Args:
        options: what to run.
        run_dir: gets logs and parameters.
        video: mp4 to write while driving, or None.
        only: keys of the nodes to start (default: all of the table).

    Raises:
        UserError: a node ends or does not become ready; the text has the end of its log.
    """
    os.environ.update(node_environment(run_dir / "log" / "ros"))
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from wm_training.route_runner import RouteRunner

    specs = node_table(options, None if only else resolve_model(options, run_dir))
    specs = tuple(spec for spec in specs if not only or spec.key in only)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    managed = any(spec.key == "manager" for spec in specs)
    # Faults may silence the planner for as long as they like: that is what they are for.
    runner = RouteRunner(options.role_name, video, plans=managed and not options.faults)
    try:
        if options.source == "embedded":
            refuse_second_simulator(runner.node)
        with _started(specs, run_dir, runner if managed else None) as launcher:
            launcher.wait_ready(runner.node, READY_S)
            if options.source == "embedded" and options.wait_for_start:
                runner.wait_for_simulator(READY_S, launcher.check)
            yield LiveGraph(options, launcher, runner)
    finally:
        runner.close()


@contextmanager
def _started(
    specs: Sequence[NodeSpec], run_dir: Path, runner: RouteRunner | None
) -> Iterator[Launcher]:
    """The processes; with ``runner``, all managed nodes active, if need be at the second start."""
    for attempt in range(1, START_ATTEMPTS + 1):
        with Launcher(specs, run_dir) as launcher:
            launcher.start()
            try:
                if runner is not None:
                    wait_until_active(runner, launcher.check)
            except NotConnected as error:
                # A recorder has begun its bag: a second one would not overwrite it.
                recorded = any(spec.key == "recorder" for spec in specs)
                if attempt == START_ATTEMPTS or recorded:
                    raise
                LOG.warning("%s\nStarting the nodes once more.", error)
            else:
                yield launcher
                return
        (run_dir / "log").rename(run_dir / f"log_of_start_{attempt}")


def wait_until_active(
    runner: RouteRunner,
    poll: Callable[[], None],
    ready_s: float = READY_S,
    connect_s: float = CONNECT_S,
    heard_s: float = HEARD_S,
) -> None:
    """Wait until the manager has all its nodes active.

    Args:
        runner: on the same graph.
        poll: called often; raises when a node has died.
        ready_s: longest wait until all are configured.
        connect_s: longest wait after that.
        heard_s: longest wait until all are heard of.

    Raises:
        NotConnected: a node may not be activated, with its own words, or is never heard of.
        UserError: a node cannot be configured.
    """
    graph = runner.graph
    graph.forget()
    start_s = time.monotonic()

    def check() -> None:
        poll()
        graph.check()
        if graph.unheard and time.monotonic() - start_s > heard_s:
            raise NotConnected(_advice(graph.waiting_for or "the manager is not heard", heard_s))

    if not runner.spin_until(lambda: graph.active or graph.unconnected, ready_s, check):
        raise UserError(f"not configured after {ready_s:g} s: {graph.waiting_for}")
    if not runner.spin_until(lambda: graph.active, connect_s, check):
        raise NotConnected(_advice(graph.waiting_for, connect_s))


def _advice(what: str, after_s: float) -> str:
    return (
        f"the nodes do not work together after {after_s:g} s: {what}. End what else runs in ROS "
        f"domain {os.environ.get('ROS_DOMAIN_ID', '0')}, or choose another, e.g. ROS_DOMAIN_ID=7; "
        "more in docs/troubleshooting.md"
    )


def refuse_second_simulator(node) -> None:
    """Two simulators in one ROS domain would drive each other's cars.

    Raises:
        UserError: somebody already publishes the simulation's status here.
    """
    name = topic("status").name()
    deadline = time.monotonic() + DISCOVERY_S
    while time.monotonic() < deadline:
        if node.count_publishers(name):
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            raise UserError(
                f"something already publishes {name} in ROS domain {domain}: end that simulator, "
                "or choose another domain, e.g. ROS_DOMAIN_ID=7"
            )
        time.sleep(0.05)
