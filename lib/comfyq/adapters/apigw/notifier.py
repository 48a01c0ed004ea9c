"""Posting through API Gateway's @connections API, or the local gateway's.

https://docs.aws.amazon.com/apigateway/latest/developerguide/
apigateway-how-to-call-websocket-api-connections.html
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from botocore.exceptions import BotoCoreError, ClientError

from comfyq.aio.tasks import failures
from comfyq.domain.errors import DomainError, NotifierUnavailable, TooLarge
from comfyq.ports.notifier import NORMAL, Close, Connection, ConnectionGone, NotPosted

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

POSTS_AT_ONCE = 16
MAX_CLIENTS = 32  # endpoints remembered: one on AWS, one a server process locally

LOCAL = "http://"  # begins the endpoint of a gateway of this machine; API Gateway's has https

ClientOf = Callable[[str, bytes | None], "ApiGatewayManagementApiClient"]
"""endpoint -> a client of it; called in a thread, one call at a time. It signs by the secret, or
by the process's own credentials if there is none."""


class ApiGatewayNotifier:
    def __init__(
        self, *, client_of: ClientOf, local_secret: Callable[[], Awaitable[bytes]]
    ) -> None:
        """``local_secret`` is for gateways of this machine; it raises NotifierUnavailable."""
        self._local_secret = local_secret
        self._client_of = client_of
        self._clients: OrderedDict[str, ApiGatewayManagementApiClient] = OrderedDict()
        self._making = Lock()
        # Its own threads: posts that wait for a dead endpoint must not use up everybody's.
        self._threads = anyio.CapacityLimiter(POSTS_AT_ONCE)

    async def post(self, connection: Connection, frame: bytes) -> None:
        secret = await self._secret_of(connection)
        await anyio.to_thread.run_sync(self._post, connection, frame, secret, limiter=self._threads)

    async def post_all(
        self, connections: Sequence[Connection], frame: bytes, *, at_once: int | None = None
    ) -> NotPosted:
        """As the port has it: API Gateway takes a request for each."""
        return await failures(
            at_once or POSTS_AT_ONCE,
            connections,
            lambda each: self.post(each, frame),
            (ConnectionGone, DomainError),
        )

    async def end(self, connection: Connection, close: Close = NORMAL) -> None:
        """As the port has it; API Gateway lets nobody say which code."""
        secret = await self._secret_of(connection)
        await anyio.to_thread.run_sync(self._end, connection, secret, limiter=self._threads)

    def close(self) -> None:
        """Give up all clients and their idle connections; a later post makes new ones."""
        with self._making:
            while self._clients:
                self._clients.popitem()[1].close()

    async def _secret_of(self, connection: Connection) -> bytes | None:
        return await self._local_secret() if connection.endpoint.startswith(LOCAL) else None

    def _post(self, connection: Connection, frame: bytes, secret: bytes | None) -> None:
        with _translating(connection):
            client = self._client(connection.endpoint, secret)
            client.post_to_connection(ConnectionId=connection.id, Data=frame)

    def _end(self, connection: Connection, secret: bytes | None) -> None:
        with _translating(connection):
            self._client(connection.endpoint, secret).delete_connection(ConnectionId=connection.id)

    def _client(self, endpoint: str, secret: bytes | None) -> "ApiGatewayManagementApiClient":
        with self._making:  # making clients of one session is not safe in several threads at once
            if endpoint not in self._clients:
                self._clients[endpoint] = self._client_of(endpoint, secret)
            self._clients.move_to_end(endpoint)
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)[1].close()
            return self._clients[endpoint]


@contextmanager
def _translating(connection: Connection) -> Iterator[None]:
    """Raise the port's errors for boto3's."""
    try:
        yield
    except ClientError as error:
        raise _translated(error, connection) from error
    except BotoCoreError as error:  # time-outs, refused connections, missing credentials
        raise NotifierUnavailable(f"{connection.endpoint}: {error}") from error


def _translated(error: ClientError, connection: Connection) -> Exception:
    match error.response["ResponseMetadata"]["HTTPStatusCode"]:
        case 410:
            return ConnectionGone(connection.id)
        case 413:
            return TooLarge("the frame is over API Gateway's limit of 128 KB")
        case _:  # 429 and 5xx pass; 403 is ours to mend, but no job may fail by it
            return NotifierUnavailable(f"{connection.endpoint}: {error}")
