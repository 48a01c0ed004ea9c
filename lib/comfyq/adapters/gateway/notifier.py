"""Posting through the local gateway's @connections API, on the backend that has nothing of AWS's.

urllib3 is imported with the first request: a server that is its own gateway makes none.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from comfyq.aio.tasks import limited
from comfyq.domain.errors import DomainError
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import (
    NORMAL,
    Close,
    Connection,
    ConnectionGone,
    Deliver,
    NotPosted,
)

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
        deliver = self._deliver_of(connection.endpoint)
        if deliver is not None:
            deliver(connection.id, frame)
            return
        await self._send("POST", connection, frame)

    async def post_all(
        self, connections: Sequence[Connection], frame: bytes, *, at_once: int | None = None
    ) -> NotPosted:
        """As the port has it, with one request to each process, however many sockets it holds."""
        of_process: dict[str, list[Connection]] = {}
        for each in connections:
            of_process.setdefault(each.endpoint, []).append(each)

        async def posted(endpoint: str) -> NotPosted:
            return await self._post_to(endpoint, of_process[endpoint], frame)

        results = await limited(at_once or POSTS_AT_ONCE, of_process, posted)
        return {each: why for failed in results.values() for each, why in failed.items()}

    async def end(self, connection: Connection, close: Close = NORMAL) -> None:
        """As the port has it; the local gateway takes the code, which API Gateway does not."""
        body = b"" if close == NORMAL else json.dumps(asdict(close)).encode()
        await self._send("DELETE", connection, body)

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

    def _deliver_of(self, endpoint: str) -> Deliver | None:
        """Return what reaches the sockets of an endpoint that this event loop serves itself."""
        loop, deliver = self._own.get(endpoint, (None, None))
        return deliver if loop is asyncio.get_running_loop() else None

    async def _post_to(
        self, endpoint: str, connections: Sequence[Connection], frame: bytes
    ) -> NotPosted:
        deliver = self._deliver_of(endpoint)
        if deliver is not None:
            return _delivered(deliver, connections, frame)
        try:
            if len(connections) == 1:  # as any client of the API does
                await self._send("POST", connections[0], frame)
                return {}
            secret = await self._secret()
            return await anyio.to_thread.run_sync(
                self._opened().send_to_all, connections, frame, secret, limiter=self._threads
            )
        except (ConnectionGone, DomainError) as failure:
            return dict.fromkeys(connections, failure)

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


def _delivered(deliver: Deliver, connections: Sequence[Connection], frame: bytes) -> NotPosted:
    failed: dict[Connection, Exception] = {}
    for each in connections:
        try:
            deliver(each.id, frame)
        except (ConnectionGone, DomainError) as failure:
            failed[each] = failure
    return failed
