"""Posting through the local gateway's @connections API, on the backend that has nothing of AWS's.

urllib3 is imported with the first request: a server that is its own gateway makes none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection, Deliver

if TYPE_CHECKING:
    from comfyq.adapters.gateway.requests import GatewayRequests

POSTS_AT_ONCE = 16


class GatewayNotifier:
    """Posts to gateways of this machine, each named by the connection's endpoint."""

    def __init__(self, *, secret: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        """``secret`` signs requests to other processes; it raises NotifierUnavailable."""
        self._secret = secret
        self._clock = clock
        self._requests: GatewayRequests | None = None
        # Its own threads: posts that wait for a dead endpoint must not use up everybody's.
        self._threads = anyio.CapacityLimiter(POSTS_AT_ONCE)
        self._own: dict[str, tuple[asyncio.AbstractEventLoop, Deliver]] = {}

    async def post(self, connection: Connection, frame: bytes) -> None:
        loop, deliver = self._own.get(connection.endpoint, (None, None))
        if deliver is not None and loop is asyncio.get_running_loop():
            deliver(connection.id, frame)
            return
        await self._send("POST", connection, frame)

    async def end(self, connection: Connection) -> None:
        await self._send("DELETE", connection)

    @contextmanager
    def attached(self, endpoint: str, deliver: Deliver) -> Iterator[None]:
        """As OwnSockets has it: a request to this very process takes 2 ms of a core."""
        self._own[endpoint] = asyncio.get_running_loop(), deliver
        try:
            yield
        finally:
            del self._own[endpoint]

    def close(self) -> None:
        """Give up idle connections; a later post makes new ones."""
        if self._requests is not None:
            self._requests.close()

    async def _send(self, method: str, connection: Connection, body: bytes = b"") -> None:
        secret = await self._secret()
        await anyio.to_thread.run_sync(
            self._opened().send, method, connection, body, secret, limiter=self._threads
        )

    def _opened(self) -> "GatewayRequests":
        if self._requests is None:
            from comfyq.adapters.gateway.requests import GatewayRequests

            self._requests = GatewayRequests(at_once=POSTS_AT_ONCE, clock=self._clock)
        return self._requests
