"""Fixtures shared by all tests, and the environment that ROS needs before it is imported."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from wm_perception.ros_environment import DEFAULTS

os.environ.update({**DEFAULTS, **os.environ})
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
# A shell's `make test &` ignores Ctrl-C for all that it starts, the tests' children too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Above 101, DDS ports run into those that Linux gives to outgoing connections.
DOMAIN_IDS = range(1, 102)


@dataclass(frozen=True)
class RosDomain:
    """A ROS domain that no other test uses now, in this process or any other on this machine.

    Attributes:
        id: value of ``ROS_DOMAIN_ID``, set in this process while the test runs.
        env: environment for child processes that shall be in the same domain.
    """

    id: int
    env: dict[str, str]


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[RosDomain]:
    """A ROS domain of the test's own."""
    domain_id, lock = _lock_free_domain()
    with lock:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
        yield RosDomain(domain_id, dict(os.environ))


@pytest.fixture(scope="module")
def module_ros_domain() -> Iterator[RosDomain]:
    """As ``ros_domain``, for all tests of a module; this process' own environment stays."""
    domain_id, lock = _lock_free_domain()
    with lock:
        yield RosDomain(domain_id, {**os.environ, "ROS_DOMAIN_ID": str(domain_id)})


@pytest.fixture
def start_node(ros_domain: RosDomain) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts node processes, ``start_node("-m", MODULE, parameter=value ...)``; ends them all."""
    running: list[subprocess.Popen[str]] = []

    def start(*program: str, **values: object) -> subprocess.Popen[str]:
        command = [sys.executable, *program, "--ros-args"]
        for name, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        process = subprocess.Popen(
            command,
            env=ros_domain.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _lock_free_domain() -> tuple[int, TextIO]:
    folder = Path(tempfile.gettempdir()) / f"wm_ros_domains.{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for domain_id in random.sample(DOMAIN_IDS, len(DOMAIN_IDS)):
        lock = (folder / str(domain_id)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return domain_id, lock
    raise RuntimeError("all ROS domains are in use by other tests on this machine")
