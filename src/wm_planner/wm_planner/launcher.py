"""Starts the nodes of the node table as plain processes, for machines without a ROS installation.

    with Launcher(node_table(options, model_dir), run_dir) as launcher:
        launcher.start()
        launcher.wait_ready(node, timeout_s=60.0)
        while driving:
            launcher.check()  # raises when a node has died, with the end of its log

Whatever happens inside, no process outlives the ``with`` block, nor this process.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wm_dynamics.errors import UserError
from wm_perception.topics import topic
from wm_planner.config_files import read_parameters, write_parameters
from wm_planner.node_table import NodeSpec
from wm_planner.process import Process, node_environment

# Signals that ask for the end, ever more firmly, and how long each is given, s.
ENDING = ((signal.SIGINT, 6.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
POLL_S = 0.05


class NodeDied(UserError):
    """A node ended although nobody asked it to; the text has the end of its log."""

    def __init__(self, process: Process):
        """Args: process that ended."""
        self.name = process.name
        text = f"node '{process.name}' ended with {process.how_it_ended()}; its log {process.log}"
        tail = process.tail()
        super().__init__(f"{text} ends with\n{tail}" if tail else f"{text} is empty")


def merged_parameters(spec: NodeSpec) -> dict[str, Any]:
    """The node's parameter file with the drive's own parameters on top.

    Raises:
        UserError: the file cannot be used.
    """
    values = read_parameters(spec.config) if spec.config else {}
    return {**values, **spec.parameters}


def node_command(spec: NodeSpec, parameter_file: Path | None) -> list[str] | None:
    """The command line of a node, or None for a program that is not installed."""
    if not spec.module:
        program = shutil.which(spec.executable)
        return [program, *spec.arguments] if program else None
    command = [sys.executable, "-m", spec.module, "--ros-args"]
    if parameter_file:
        command += ["--params-file", str(parameter_file)]
    for before, after in spec.remaps:
        command += ["-r", f"{before}:={after}"]
    return command


class Launcher:
    """The processes of one drive. A context manager: leaving it ends them all."""

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        run_dir: Path,
        environment: Mapping[str, str] | None = None,
    ):
        """Prepare; nothing runs yet.

        Args:
            specs: from :func:`wm_planner.node_table.node_table`.
            run_dir: gets ``log/<node>.log`` and ``parameters/<node>.yaml``.
            environment: of the nodes, default :func:`node_environment`.
        """
        self.specs = tuple(specs)
        self.log_dir = run_dir / "log"
        self._parameter_dir = run_dir / "parameters"
        self._environment = dict(environment or node_environment(self.log_dir / "ros"))
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all nodes; call from the main thread.

        Raises:
            UserError: a parameter file cannot be used, or an essential program is not installed.
        """
        commands = {spec.key: self._command(spec) for spec in self.specs}
        for spec in self.specs:
            command = commands[spec.key]
            if command is not None:
                log = self.log_dir / f"{spec.key}.log"
                self.processes[spec.key] = Process(spec.key, command, log, self._environment)

    def _command(self, spec: NodeSpec) -> list[str] | None:
        file = None
        if spec.module:
            file = self._parameter_dir / f"{spec.key}.yaml"
            write_parameters(file, merged_parameters(spec))
        command = node_command(spec, file)
        if command is None and spec.essential:
            raise UserError(f"{spec.executable} is not installed")
        return command

    def check(self) -> None:
        """Raise :class:`NodeDied` if an essential node has ended."""
        for spec in self.specs:
            process = self.processes.get(spec.key)
            if spec.essential and process is not None and process.status is not None:
                raise NodeDied(process)

    def wait_ready(
        self, node: Any, timeout_s: float, spin: Callable[[float], None] = time.sleep
    ) -> None:
        """Wait until every node publishes and subscribes to what the table says.

        Args:
            node: an rclpy node on the same graph.
            timeout_s: longest wait.
            spin: lets time pass; the graph is followed by the middleware's own threads.

        Raises:
            NodeDied: one of the nodes has ended.
            UserError: it took too long; the text names the nodes that are not ready.
        """
        deadline = time.monotonic() + timeout_s
        while waiting := self._not_ready(node):
            self.check()
            if time.monotonic() > deadline:
                raise UserError(
                    f"not ready after {timeout_s:g} s: {', '.join(waiting)}; see {self.log_dir}"
                )
            spin(POLL_S)

    def _not_ready(self, node: Any) -> list[str]:
        """Keys of the nodes whose topics are not all there."""
        publishers = Counter(key for spec in self.specs for key in spec.publishes)
        subscribers = Counter(key for spec in self.specs for key in spec.subscribes)

        def name(key: str, spec: NodeSpec) -> str:
            plain = topic(key).name(spec.parameters.get("role_name", ""))
            return dict(spec.remaps).get(plain, plain)

        return [
            spec.key
            for spec in self.specs
            if any(node.count_publishers(name(k, spec)) < publishers[k] for k in spec.publishes)
            or any(node.count_subscribers(name(k, spec)) < subscribers[k] for k in spec.subscribes)
        ]

    def stop(self) -> None:
        """End all nodes: SIGINT, then SIGTERM, then SIGKILL for those that do not listen.

        The manager first: it takes its nodes out of service in order, so that none complains of
        another's silence.
        """
        conductors = [spec.key for spec in self.specs if spec.conducts]
        try:
            self._end(ENDING[:1], conductors)
            self._end(ENDING)
        except KeyboardInterrupt:  # the user is in a hurry
            self._end(ENDING[-1:])
            raise

    def _end(
        self, steps: Sequence[tuple[signal.Signals, float]], keys: Sequence[str] | None = None
    ) -> None:
        """End the processes of ``keys``, or all."""
        chosen = self.processes if keys is None else [k for k in keys if k in self.processes]
        running = [p for p in map(self.processes.__getitem__, chosen) if p.status is None]
        for number, patience_s in steps:
            for process in running:
                process.send(number)
            deadline = time.monotonic() + patience_s
            running = [p for p in running if not p.wait(max(0.0, deadline - time.monotonic()))]
            if not running:
                return
