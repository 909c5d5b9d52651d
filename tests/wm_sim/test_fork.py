"""Branches in forked copies: exactly what would have come, and no harm to the simulation here."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drives import FULL_WORLD, said, steer_along

from wm_dynamics.errors import UserError
from wm_perception.frame import Command, SceneFrame
from wm_sim.fork import BranchFailed, in_fork
from wm_sim.simulator import Simulator

COMMANDS = [Command(0.3 * np.sin(k / 3.0), 0.6 - 0.05 * k) for k in range(24)]


def begin(simulator: Simulator) -> None:
    """A moment in a town full of everything."""
    scene = simulator.start_route(2, seed=5, traffic=8, world=FULL_WORLD)
    for _ in range(15):
        simulator.step(Command(steer_along(scene, simulator.frame()), 0.4))


def numbers(frame: SceneFrame) -> np.ndarray:
    """Everything a frame says, as bytes."""
    return np.frombuffer(repr(said(frame)).encode(), np.uint8)


def go_on(simulator: Simulator) -> dict[str, np.ndarray]:
    return {str(k): numbers(simulator.step(command)) for k, command in enumerate(COMMANDS)}


def no_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def test_a_branch_is_the_future_bit_by_bit_and_leaves_the_present_alone(tiny):
    begin(tiny)
    undisturbed = go_on(tiny)
    begin(tiny)
    before = numbers(tiny.frame())
    branch = in_fork(tiny, lambda: go_on(tiny))
    other = in_fork(tiny, lambda: {"last": numbers(tiny.step(Command(0.0, -1.0)))})
    assert not np.array_equal(other["last"], branch["0"])
    np.testing.assert_array_equal(numbers(tiny.frame()), before)
    future = go_on(tiny)
    for key, frame in future.items():
        np.testing.assert_array_equal(branch[key], frame)
        np.testing.assert_array_equal(undisturbed[key], frame)


def killed() -> dict[str, np.ndarray]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def wrong() -> dict[str, np.ndarray]:
    raise ValueError("a strange place")


def ended() -> dict[str, np.ndarray]:
    os._exit(3)


def endless() -> dict[str, np.ndarray]:
    time.sleep(60.0)
    return {}


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (killed, "killed by SIGKILL"),
        (wrong, "a strange place"),
        (ended, "ended with 3"),
        (endless, "in time"),
    ],
)
def test_a_branch_that_dies_is_reported_and_buried(tiny, work, text):
    begin(tiny)
    with pytest.raises(BranchFailed, match=text):
        in_fork(tiny, work, timeout_s=0.5 if work is endless else 60.0)
    assert no_children()
    assert in_fork(tiny, lambda: go_on(tiny)).keys() == go_on(tiny).keys()


def test_many_branches_leave_no_process_and_no_file_open(tiny):
    begin(tiny)
    files = len(os.listdir("/proc/self/fd"))
    big = np.arange(1 << 18, dtype=float)  # more than a pipe holds
    for k in range(8):
        got = in_fork(tiny, lambda k=k: {"numbers": big + k})
        np.testing.assert_array_equal(got["numbers"], big + k)
    assert no_children()
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_camera_is_not_forked():
    camera: Any = SimpleNamespace(frame=lambda: SimpleNamespace(image=np.zeros((2, 2, 3))))
    with pytest.raises(UserError, match="start one without"):
        in_fork(camera, dict)
