"""Connections, each under its id, and subscriptions, each under its job and connection.

``$disconnect`` is best effort, so both expire. A power cut ends the sockets of its machine, so no
write is synced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.job import JobId
from comfyq.ports.notifier import Connection
from comfyq.ports.table import Delete, Item, Put, Table

FOLLOW_S = 7_500  # a socket of API Gateway lives 7,200 s at most
MAX_FOLLOWERS = 1_000  # of one job that an announcement reaches
AT_ONCE = 10  # subscriptions that one transaction deletes: two writes each, and the connection's


@dataclass(frozen=True, slots=True)
class Subscription:
    """One connection that follows a job."""

    connection: Connection
    base_url: str  # what links in its frames begin with


class SubscriptionRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def connect(
        self, connection: Connection, caller: Caller, *, base_url: str, now_s: int
    ) -> None:
        """Store a socket's caller, because later events of the socket carry no headers."""
        item = {
            "pk": f"CONN#{connection.id}",
            "sk": "META",
            "endpoint": connection.endpoint,
            "tenant": caller.tenant,
            "scopes": sorted(caller.scopes),
            "base_url": base_url,
            "ttl": now_s + FOLLOW_S,
        }
        await self._table.write(Put(item), synced=False)

    async def caller(self, connection_id: str) -> tuple[Caller, Subscription] | None:
        """Return the caller of a connection, and the subscription that it would make."""
        item = await self._table.get((f"CONN#{connection_id}", "META"))
        if item is None:
            return None
        scopes = frozenset(scope for scope in Scope if scope in item["scopes"])
        caller = Caller(TenantId(item["tenant"]), scopes)
        return caller, _subscription(connection_id, item)

    async def add(self, job_id: JobId, follower: Subscription, *, now_s: int) -> None:
        connection = follower.connection
        common = {"endpoint": connection.endpoint, "base_url": follower.base_url}
        ttl = now_s + FOLLOW_S
        await self._table.write(
            Put({"pk": f"JOB#{job_id}", "sk": f"SUB#{connection.id}", **common, "ttl": ttl}),
            Put({"pk": f"CONN#{connection.id}", "sk": f"JOB#{job_id}", "ttl": ttl}),
            synced=False,
        )

    async def remove(self, job_id: JobId, connection_id: str) -> None:
        await self._table.write(*_both(job_id, connection_id), synced=False)

    async def disconnect(self, connection_id: str) -> None:
        """Delete a connection and its subscriptions."""
        partition = f"CONN#{connection_id}"
        while True:
            page = await self._table.query("main", partition, prefix="JOB#", limit=AT_ONCE)
            job_ids = [JobId(item["sk"].removeprefix("JOB#")) for item in page.items]
            gone = [delete for job_id in job_ids for delete in _both(job_id, connection_id)]
            if page.cursor is None:
                await self._table.write(*gone, Delete((partition, "META")), synced=False)
                return
            await self._table.write(*gone, synced=False)

    async def of_job(self, job_id: JobId) -> Sequence[Subscription]:
        page = await self._table.query("main", f"JOB#{job_id}", prefix="SUB#", limit=MAX_FOLLOWERS)
        return [_subscription(item["sk"].removeprefix("SUB#"), item) for item in page.items]


def _both(job_id: JobId, connection_id: str) -> tuple[Delete, Delete]:
    """Return what deletes a subscription, which both its job and its connection list."""
    return (
        Delete((f"JOB#{job_id}", f"SUB#{connection_id}")),
        Delete((f"CONN#{connection_id}", f"JOB#{job_id}")),
    )


def _subscription(connection_id: str, item: Item) -> Subscription:
    return Subscription(Connection(connection_id, item["endpoint"]), item["base_url"])
