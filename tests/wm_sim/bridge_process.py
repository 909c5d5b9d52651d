"""The real bridge node in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_bridge(environment: dict[str, str], role: str, **parameters: str) -> Iterator[None]:
    """A bridge on ``tiny`` with CARLA's whole rig, paused; it must survive what is done to it."""
    values = {
        "town": "tiny",
        "sensors": "full",
        "role_name": role,
        "wait_for_start": "true",
        "command_wait_s": "5.0",
        **parameters,
    }
    options = [part for key, value in values.items() for part in ("-p", f"{key}:={value}")]
    bridge = subprocess.Popen(
        [sys.executable, "-m", "wm_sim.bridge_node", "--ros-args", *options], env=environment
    )
    try:
        yield
        assert bridge.poll() is None, "the bridge is alive after all that"
    finally:
        bridge.terminate()
        bridge.wait(20)
