"""uvicorn inside a process that is not its own: signals are the host's."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from email.utils import formatdate

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from comfyq.local.gateway_settings import MAX_MESSAGE_BYTES
from comfyq.local.protocol import RequestLimits, limited
from comfyq.local.socket_protocol import BoundedSocket

DATED_FOR_S = 1.0
KEEP_ALIVE_S = 75  # longer than proxies and clients keep theirs: who closes first loses no request
STOP_S = 3  # connections that are busy then are closed
ACCEPTED_AT_ONCE = 32  # new connections, between two looks at those that are open
MAX_FRAME_BYTES = 2 * MAX_MESSAGE_BYTES  # beyond what is answered with the reason


class PortTaken(Exception):
    """Something else listens there."""


class DatedState(ServerState):
    """The state of a server that looks at the clock when it answers, once a second at most."""

    _dated_s = float("-inf")

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        if time.monotonic() - self._dated_s >= DATED_FOR_S:
            self._dated_s = time.monotonic()
            self._headers = [(b"date", formatdate(usegmt=True).encode())]
        return self._headers

    @default_headers.setter
    def default_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._headers = headers  # uvicorn's own, until a request comes


class Guest(uvicorn.Server):
    """A server inside a process that is not its own: signals are the host's."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._stopping = asyncio.Event()
        super().__init__(config)
        self.server_state = DatedState()

    @property
    def should_exit(self) -> bool:
        return self._stopping.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        if value:
            self._stopping.set()
        else:
            self._stopping.clear()

    async def main_loop(self) -> None:
        """Wait for the end; uvicorn would look for it, and at the clock, ten times a second."""
        await self._stopping.wait()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving_app(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    limits: RequestLimits | None = None,
    on_stop: Callable[[], None] = lambda: None,
) -> AsyncIterator[str]:
    """Serve ``app``, sockets and lifespan included; yields its URL when it takes requests.

    ``port`` 0 is any free one. ``on_stop`` is called before it waits for answers that are under
    way, to end those that would not. Raises PortTaken.
    """
    server = Guest(_config(app, limits or RequestLimits()))
    with listen(host, port) as listener:
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener, *doors(listener)])
            await _started(server)
            failed: Exception | None = None
            try:
                yield f"http://{shown}:{listener.getsockname()[1]}"
            except Exception as failure:  # the server ends in order all the same: not cancelled,
                failed = failure  # it logs no traceback of its own
            finally:
                on_stop()
                server.should_exit = True
        if failed is not None:
            raise failed


def doors(listener: socket.socket) -> Sequence[socket.socket]:
    """Return more descriptors of a listening socket: uvloop takes one connection of each between
    two looks at all others, so new ones would wait in turn behind every request of the old."""
    return [listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1)]


def _config(app: ASGIApp, limits: RequestLimits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        http=limited(limits),
        ws=BoundedSocket,
        ws_max_size=MAX_FRAME_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anyone on this machine could say who they are: PUBLIC_URL names it
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )


async def _started(server: uvicorn.Server) -> None:
    while not server.started:
        if server.should_exit:
            raise RuntimeError("the server did not start; the log says why")
        await asyncio.sleep(0.005)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises PortTaken.

    Its protocol is named: asyncio turns Nagle's algorithm off only where it reads TCP, and with it
    on, an answer in two parts waits 40 ms for the client's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(socket.SOMAXCONN)
    except OSError as taken:
        listener.close()
        raise PortTaken(f"cannot listen on {host}:{port}: {taken.strerror}") from taken
    return listener
