"""A watcher of the live view without a browser, and the server as a process."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp

from wm_training.view.parts import unpack

PATIENCE_S = 120.0  # on a loaded machine


def running_view(*arguments: object, env: dict[str, str] | None = None):
    """``wm view`` on a free port; its address."""
    return running_wm("view", "--port", 0, *arguments, env=env)


@contextmanager
def running_wm(*arguments: object, env: dict[str, str] | None = None) -> Iterator[str]:
    """A ``wm`` command that serves something; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wm_training.cli", *map(str, arguments)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"(?:http|ws)://\S+", line):
                yield found[0]
                break
        assert process.poll() is None, f"the view ended: {''.join(said)}"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


class Watch:
    """One watcher.

    Attributes:
        parts: newest of each part: JSON content, or bytes.
        abouts: what was said about each part.
        updates: messages so far.
        answers: to its requests.
    """

    def __init__(self, address: str, confirms: bool = True, headers: dict | None = None):
        """Args: address of the page; confirms: says that it got a message; headers: of the call."""
        self.parts: dict[str, Any] = {}
        self.abouts: dict[str, dict] = {}
        self.answers: list[dict] = []
        self.updates = 0
        self._confirms = confirms
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._connect(address, headers or {}))

    async def _connect(self, address: str, headers: dict) -> None:
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(
                f"{address}live", headers=headers, max_msg_size=0
            )
        except aiohttp.ClientError:
            await self._session.close()
            raise

    def receive(self, timeout_s: float = PATIENCE_S) -> bool:
        """Take one message; False when none comes in time."""
        return self._loop.run_until_complete(self._receive(timeout_s))

    async def _receive(self, timeout_s: float) -> bool:
        try:
            message = await self._socket.receive(timeout_s)
        except asyncio.TimeoutError:
            return False
        if message.type == aiohttp.WSMsgType.TEXT:
            self.answers.append(json.loads(message.data))
            return True
        assert message.type == aiohttp.WSMsgType.BINARY, message
        self.updates += 1
        for name, (payload, about) in unpack(message.data).items():
            self.parts[name] = json.loads(payload) if about.get("json") else payload
            self.abouts[name] = about
        if self._confirms:
            await self._socket.send_str('{"got":1}')
        return True

    def until(self, condition: Callable[[Watch], Any], patience_s: float = PATIENCE_S) -> Any:
        """Take messages until a condition of this watcher holds; its value."""
        end = time.monotonic() + patience_s
        while not (value := self._holds(condition)):
            left = end - time.monotonic()
            assert left > 0 and self.receive(left), f"waited in vain; parts {sorted(self.parts)}"
        return value

    def _holds(self, condition: Callable[[Watch], Any]) -> Any:
        try:
            return condition(self)
        except (KeyError, IndexError):  # not there yet
            return None

    def ask(self, **request: Any) -> dict:
        """Send a request and wait for its answer."""
        count = len(self.answers)
        self._loop.run_until_complete(self._socket.send_str(json.dumps(request)))
        self.until(lambda w: len(w.answers) > count)
        return self.answers[-1]

    @property
    def state(self) -> dict[str, Any]:
        """What moves."""
        return self.parts["state"]

    def close(self) -> None:
        """Leave."""
        self._loop.run_until_complete(self._session.close())
        self._loop.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
