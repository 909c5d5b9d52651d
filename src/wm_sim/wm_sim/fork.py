"""What would have happened otherwise: work done in a forked copy of the whole simulation.

SUMO, the ego and everything that drives live in this process, so ``fork`` copies them all at once,
exactly, for the price of the pages that the copy writes to. A copy can step the simulator, drive
and label; this process goes on afterwards as if nothing had been.

A copy has this process's memory but only the thread that forked: what counts on other threads or
on a graphics context (torch, a camera, a pool of OpenCV) does not work in it. Call
``cv2.setNumThreads(1)`` before anything that is to be forked.
"""

from __future__ import annotations

import gc
import io
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn

import numpy as np

from wm_dynamics.errors import UserError
from wm_sim.simulator import Simulator

TIMEOUT_S = 60.0  # a branch takes a fraction of a second
_CHUNK = 1 << 20

Arrays = Mapping[str, np.ndarray]


class BranchFailed(RuntimeError):
    """A forked copy raised an error, was killed, or did not finish; this process is unharmed."""


def in_fork(
    simulator: Simulator, work: Callable[[], Arrays], timeout_s: float = TIMEOUT_S
) -> dict[str, np.ndarray]:
    """Do ``work`` in a forked copy of this process and bring its arrays back.

    Args:
        simulator: that ``work`` steps; here it stays as it is.
        work: called once, in the copy; whatever it changes, it changes there.
        timeout_s: the copy is killed after this long.

    Returns:
        What ``work`` returned, by name.

    Raises:
        UserError: the simulator renders a camera, which a copy cannot.
        BranchFailed: the copy raised an error, was killed, or took too long.
    """
    if simulator.frame().image is not None:
        raise UserError("a simulator with a camera cannot be forked; start one without")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _copy(work, writer)
    os.close(writer)
    status = None
    try:
        answer = _read(reader, time.monotonic() + timeout_s)
        status = os.waitpid(child, 0)[1]
    finally:
        os.close(reader)
        if status is None:  # too slow, or this process is being interrupted
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        raise BranchFailed(f"a branch was killed by {signal.Signals(-code).name}")
    if code > 0:
        raise BranchFailed(answer.decode(errors="replace") or f"a branch ended with {code}")
    with np.load(io.BytesIO(answer), allow_pickle=False) as arrays:
        return dict(arrays)


def _copy(work: Callable[[], Arrays], pipe: int) -> NoReturn:
    """The life of a copy: work, answer, vanish without any of this process's farewells."""
    code = 1
    try:
        gc.disable()  # it would write to, and so duplicate, every page of Python objects
        buffer = io.BytesIO()
        try:
            np.savez(buffer, **dict(work()))  # type: ignore[arg-type]  # no keyword of its own
            code = 0
        except Exception:
            buffer = io.BytesIO(traceback.format_exc().encode())
        answer = buffer.getbuffer()
        while answer:
            answer = answer[os.write(pipe, answer) :]
    except BaseException:  # nobody to tell: the pipe is gone, or Ctrl-C
        code = 1
    finally:
        os._exit(code)


def _read(pipe: int, deadline: float) -> bytes:
    """Everything until the other end closes.

    Raises:
        BranchFailed: it did not until ``deadline``, in monotonic seconds.
    """
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN | select.POLLHUP)
    parts: list[bytes] = []
    while True:
        left_ms = 1e3 * (deadline - time.monotonic())
        if left_ms <= 0.0 or not waiting.poll(left_ms):
            raise BranchFailed("a branch did not finish in time")
        part = os.read(pipe, _CHUNK)
        if not part:
            return b"".join(parts)
        parts.append(part)
