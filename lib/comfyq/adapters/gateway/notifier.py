"""Posting through the local gateway's @connections API, on the backend that has nothing of AWS's.

The requests are those that boto3 makes, which takes 3 ms of a core to prepare, sign and read each.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import anyio
import anyio.to_thread
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from comfyq.domain.errors import NotifierUnavailable, TooLarge
from comfyq.ports.notifier import Connection, ConnectionGone, Deliver

POSTS_AT_ONCE = 16
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5
HEADERS = {
    "Content-Type": "application/octet-stream",
    # The gateway asks for a signature, as API Gateway does, and checks none.
    "Authorization": "AWS4-HMAC-SHA256 Credential=local",
}


class GatewayNotifier:
    """Posts to gateways of this machine, each named by the connection's endpoint."""

    def __init__(self) -> None:
        self._pool: PoolManager | None = None
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
        if self._pool is not None:
            self._pool.clear()

    async def _send(self, method: str, connection: Connection, body: bytes | None = None) -> None:
        await anyio.to_thread.run_sync(
            self._request, method, connection, body, limiter=self._threads
        )

    def _request(self, method: str, connection: Connection, body: bytes | None) -> None:
        url = f"{connection.endpoint}/@connections/{quote(connection.id, safe='')}"
        try:
            answer = self._opened().request(method, url, body=body, headers=HEADERS)
        except HTTPError as error:  # time-outs and refused connections
            raise NotifierUnavailable(f"{connection.endpoint}: {error}") from error
        match answer.status:
            case 200 | 204:
                return
            case 410:
                raise ConnectionGone(connection.id)
            case 413:
                raise TooLarge("the frame is over API Gateway's limit of 128 KB")
            case status:  # 429 and 5xx pass
                raise NotifierUnavailable(f"{connection.endpoint} answers {status}")

    def _opened(self) -> PoolManager:
        if self._pool is None:
            self._pool = _pool()
        return self._pool


def _pool() -> PoolManager:
    return PoolManager(
        maxsize=POSTS_AT_ONCE,
        timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        # A frame that comes twice does no harm: clients drop what is not newer.
        retries=Retry(connect=0, read=1, redirect=0, allowed_methods=None),
    )
