"""Serves the page and keeps its watchers up to date over WebSockets.

One thread asks the source (decoding, painting, JPEG), the event loop sends. A watcher confirms what
it got; one that has ``CREDIT`` messages unconfirmed is sent nothing until it catches up, and then
only the newest of each part. So a slow watcher slows nobody, and one that reads no more is sent
nothing more; it is let go when it answers no ping either.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from wm_dynamics.errors import UserError
from wm_training.view.parts import Part, pack
from wm_training.view.source import Source

LOG = logging.getLogger(__name__)
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765
RATE_HZ = 12.5
CREDIT = 2  # messages that a watcher need not have confirmed
HEARTBEAT_S = 20.0
LONGEST_REQUEST = 4096
PAGE = Path(__file__).with_name("page")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
# Nothing from elsewhere: the page works without a network, and no other page can use it.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket bound to an address; port 0 takes a free one.

    Raises:
        UserError: it is in use, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"the live view cannot use port {port} on {host} ({reason.lower()}): end what uses it, "
            "or choose another with --port (--view-port of wm drive); 0 takes any free one"
        ) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """What to type into a browser."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class Watcher:
    """One page that is open somewhere.

    Attributes:
        seen: part -> version that was sent.
        unconfirmed: messages sent that it has not confirmed.
    """

    def __init__(self, channel: web.WebSocketResponse):
        self.channel = channel
        self.seen: dict[str, int] = {}
        self.unconfirmed = 0
        self.news = asyncio.Event()
        self.answers: list[str] = []

    @property
    def listening(self) -> bool:
        """It keeps up."""
        return self.unconfirmed < CREDIT

    def wants(self, shown: list[Part]) -> list[Part]:
        """What of it is newer than what it has; nothing while it does not keep up."""
        return [p for p in shown if p.version > self.seen.get(p.name, 0)] if self.listening else []


class Server:
    """The page of one source.

    Attributes:
        watchers: pages that are open.
    """

    def __init__(self, source: Source, rate_hz: float = RATE_HZ):
        """Args: source: what is shown; rate_hz: how often, at most."""
        self.watchers: set[Watcher] = set()
        self._source, self._period_s = source, 1.0 / rate_hz
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="view")
        self._come = asyncio.Event()
        self._shown: list[Part] = []  # of one moment: the source fills its parts one by one

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[_only_from_here])
        app.router.add_get("/", self._index)
        app.router.add_get("/live", self._live)
        app.router.add_static("/", PAGE)
        app.cleanup_ctx.append(self._running)
        app.on_shutdown.append(self._farewell)
        return app

    async def _running(self, app: web.Application) -> AsyncIterator[None]:
        ticking = asyncio.create_task(self._tick())
        yield
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        self._worker.shutdown()

    async def _farewell(self, app: web.Application) -> None:
        """Tell the watchers that it ends: to them, a connection that breaks off looks different."""
        for watcher in list(self.watchers):
            await watcher.channel.close(code=WSCloseCode.GOING_AWAY)

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    # ------------------------------------------------------------------ updates

    async def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call the source in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, call, *arguments)

    async def _tick(self) -> None:
        """Poll the source while somebody listens; let it rest when nobody does."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._come.wait()
            while self.watchers:
                due = clock() + self._period_s
                if any(w.listening for w in self.watchers):
                    await self._poll()
                await asyncio.sleep(max(0.0, due - clock()))
            self._come.clear()
            await self._ask(self._source.rest)

    async def _poll(self) -> None:
        try:
            await self._ask(self._source.poll)
        except Exception:  # a viewer must outlive any message
            LOG.exception("the view could not be brought up to date")
        self._shown = self._source.parts.newer({})
        for watcher in self.watchers:
            watcher.news.set()

    # ------------------------------------------------------------------ watchers

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        """One watcher, until it leaves."""
        channel = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, compress=False, max_msg_size=LONGEST_REQUEST
        )
        await channel.prepare(request)
        watcher = Watcher(channel)
        await self._ask(self._source.welcome)
        self.watchers.add(watcher)
        self._come.set()
        sending = asyncio.create_task(self._send(watcher))
        try:
            async for message in channel:
                if message.type == WSMsgType.TEXT:
                    await self._answer(watcher, message.data)
        finally:
            self.watchers.discard(watcher)
            sending.cancel()
        return channel

    async def _send(self, watcher: Watcher) -> None:
        """Whatever is newer than what the watcher has, as long as it keeps up."""
        with contextlib.suppress(ConnectionError, RuntimeError):  # it has just left
            while True:
                await watcher.news.wait()
                watcher.news.clear()
                while watcher.answers:
                    await watcher.channel.send_str(watcher.answers.pop(0))
                if parts := watcher.wants(self._shown):
                    watcher.unconfirmed += 1
                    watcher.seen |= {p.name: p.version for p in parts}
                    await watcher.channel.send_bytes(pack(parts))

    async def _answer(self, watcher: Watcher, text: str) -> None:
        """A confirmation, or a control: ``{"do": ...}``."""
        try:
            request = json.loads(text)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            return
        if "got" in request:
            watcher.unconfirmed = max(0, watcher.unconfirmed - 1)
            return
        try:
            said = {"done": await self._ask(self._source.control, request)}
        except UserError as error:
            said = {"refused": str(error)}
        watcher.answers.append(json.dumps(said))
        watcher.news.set()


@web.middleware
async def _only_from_here(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refuse other pages of the browser: they must not stop the car.

    A page from elsewhere that opens a WebSocket here says so in ``Origin``. One that has its own
    name resolve to this machine still asks for its own ``Host``.
    """
    bound = (request.transport.get_extra_info("sockname") or ("",))[0] if request.transport else ""
    name = urlsplit(f"//{request.host}").hostname or ""
    origin = request.headers.get("Origin")
    if bound in LOOPBACK and name not in LOOPBACK:
        raise web.HTTPForbidden(text=f"this view is served as http://127.0.0.1, not as {name}")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text=f"{origin} may not use this view")
    response = await handler(request)
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


def serve_for_good(source: Source, bound: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; the arguments are those of :func:`serve`."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    asyncio.run(serve(source, bound, stop.is_set))


async def serve(source: Source, bound: socket.socket, until: Callable[[], bool]) -> None:
    """Serve until ``until()``; the source is closed then.

    Args:
        source: what is shown.
        bound: from :func:`listening_socket`.
        until: looked at a few times a second.
    """
    runner = web.AppRunner(Server(source).application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, bound).start()
        while not until():
            await asyncio.sleep(0.1)
    finally:
        await runner.cleanup()
        source.close()
