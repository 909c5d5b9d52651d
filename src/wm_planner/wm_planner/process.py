"""One child process: started with a log file, watched, and ended for certain."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from wm_perception.ros_environment import DEFAULTS

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TAIL_LINES = 15


def node_environment(ros_log_dir: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a node; what the user has set stays.

    Sets where installed ROS packages are (the wheels do not), a transport that carries camera
    frames, and one thread per numeric library. Discovery is left alone: nodes that look for each
    other on this machine only and nodes that look on the whole network do not find each other.
    """
    environment = dict(os.environ if base is None else base)
    defaults = {
        **DEFAULTS,
        "OMP_NUM_THREADS": "1",
        "ROS_LOG_DIR": str(ros_log_dir),
        "RCUTILS_COLORIZED_OUTPUT": "0",
        "PYTHONUNBUFFERED": "1",
    }
    return {**defaults, **environment}


def _die_with_parent() -> None:
    """In the child: be asked to end when the parent dies, whatever kills it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A running program whose output goes to a file.

    It has its own process group, so that Ctrl-C in the terminal reaches only the parent, which then
    ends its children in order. On Linux it ends with its parent, even if that is killed.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ):
        """Start the program; call from the main thread (children die with the thread)."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as output:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while running."""
        return self._child.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children; nothing happens if it has ended."""
        if self.status is not None:
            return
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            self._child.poll()

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within the time."""
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def how_it_ended(self) -> str:
        """``status 2`` or ``SIGKILL``."""
        status = self.status
        if status is None:
            return "running"
        return f"status {status}" if status >= 0 else signal.Signals(-status).name

    def tail(self) -> str:
        """The last lines of its log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-TAIL_LINES:])
