"""The end of sockets whose API key was revoked, or whose key or token has expired."""

from collections.abc import Sequence

from comfyq.aio.logs import log
from comfyq.aio.tasks import limited
from comfyq.domain.errors import DomainError
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import SIGNED_OUT, Connection, ConnectionGone, Notifier
from comfyq.records.subscriptions import SubscriptionRecords

AT_ONCE = 10  # sockets that are ended at the same time


class OpenSockets:
    def __init__(
        self, *, subscriptions: SubscriptionRecords, notifier: Notifier, clock: Clock
    ) -> None:
        self._subscriptions = subscriptions
        self._notifier = notifier
        self._clock = clock

    async def end(self, key_id: str) -> int:
        """End every socket that was opened with a key; return how many."""
        return await self._end(await self._subscriptions.of_key(key_id))

    async def end_expired(self) -> int:
        """End the sockets whose key or token has expired, as far as one look shows them."""
        return await self._end(await self._subscriptions.expired(self._clock.now()))

    async def _end(self, connections: Sequence[Connection]) -> int:
        """Delete what is stored of each, so that nothing is posted to it any more, then close it.

        One that cannot be closed now is deaf, and closed by the gateway when it has been idle.
        """
        await limited(AT_ONCE, connections, self._end_one)
        return len(connections)

    async def _end_one(self, connection: Connection) -> None:
        await self._subscriptions.disconnect(connection.id)
        try:
            await self._notifier.end(connection, SIGNED_OUT)
        except ConnectionGone:
            return
        except DomainError as away:
            log.warning("socket_not_closed", connection=connection.id, reason=str(away))
