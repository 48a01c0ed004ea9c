"""Connections, each under its id, and subscriptions, each under its job and connection.

``$disconnect`` is best effort, so both expire; a subscription also when its client's API key does.
Connections are listed under the API key that opened them too. A power cut ends the sockets of its
machine, so no write is synced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.ports.notifier import Connection
from comfyq.ports.table import Cursor, Delete, Item, Key, Put, Table
from comfyq.records.indexes.followed_jobs import followed_item
from comfyq.records.times import optional_ms, optional_time, sortable, to_ms

FOLLOW_S = 7_500  # a socket of API Gateway lives 7,200 s at most
EXPIRING = "SOCKETS"  # partition of connections whose key or token expires, by when
PAGE = 100
FOLLOWERS_PAGE = 1_000  # of one job: most have fewer, so that one look finds all
AT_ONCE = 10  # subscriptions that one transaction deletes: two writes each, and the connection's
GROUPS_AT_ONCE = 4  # of so many subscriptions that are written at the same time
FOLLOWERS = "SUB#"  # begins the sort keys of a job's subscriptions


@dataclass(frozen=True, slots=True)
class Subscription:
    """One connection that follows a job."""

    connection: Connection
    base_url: str  # what links in its frames begin with
    batch: BatchId | None = None  # it follows this batch, and the job only as one of it
    previews: bool = False  # it wants pictures of what is being made


class SubscriptionRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def connect(
        self,
        connection: Connection,
        caller: Caller,
        *,
        base_url: str,
        now_s: int,
        previews: bool = False,
    ) -> None:
        """Store a socket's caller, because later events of the socket carry no headers."""
        item = {
            "pk": f"CONN#{connection.id}",
            "sk": "META",
            "endpoint": connection.endpoint,
            "base_url": base_url,
            "previews": previews or None,
            "ttl": now_s + FOLLOW_S,
            **caller_fields(caller),
        }
        if caller.until is not None:  # when the reaper ends it
            item |= {"apk": EXPIRING, "ask": sortable(caller.until)}
        held = [] if caller.key is None else [Put(_held(caller.key, connection, item["ttl"]))]
        await self._table.write(Put(item), *held, synced=False)

    async def caller(self, connection_id: str) -> tuple[Caller, Subscription] | None:
        """Return the caller of a connection, and the subscription that it would make."""
        item = await self._table.get((f"CONN#{connection_id}", "META"))
        if item is None:
            return None
        return caller_in(item), _subscription(connection_id, item)

    async def add(
        self,
        job_id: JobId,
        follower: Subscription,
        *,
        now_s: int,
        until: datetime | None = None,
        told_reasons: bool = True,
    ) -> None:
        """Store who follows a job, at the longest ``until`` its key expires. The job is listed
        among the followed ones, so that changed reasons to wait are told, unless ``told_reasons``
        says that these are not wanted, or cannot come any more."""
        ttl = _ttl(now_s, until)
        listed = followed_item(job_id, now_s=now_s, ttl=now_s + FOLLOW_S)
        await self._table.write(
            *_puts(job_id, follower, _common(follower), ttl),
            *([Put(listed)] if told_reasons else []),
            synced=False,
        )

    async def add_batch(
        self,
        job_ids: Sequence[JobId],
        follower: Subscription,
        *,
        now_s: int,
        until: datetime | None = None,
    ) -> None:
        """Store who follows a batch, with each of those of its jobs that may still change."""
        common = _common(follower)
        groups = [job_ids[at : at + AT_ONCE] for at in range(0, len(job_ids), AT_ONCE)]

        async def write(number: int) -> None:
            puts = (
                put
                for job_id in groups[number]
                for put in _puts(job_id, follower, common, _ttl(now_s, until))
            )
            await self._table.write(*puts, synced=False)

        await limited(GROUPS_AT_ONCE, range(len(groups)), write)

    async def add_retry(self, job_id: JobId, *, retry_of: JobId) -> Sequence[Subscription]:
        """Make who follows a job as one of a batch a follower of its retry too, for as long; return
        these followers."""
        items = [item for item in await self._of_job(retry_of) if "#" in _name(item)]

        async def write(number: int) -> None:
            part = items[number * AT_ONCE : (number + 1) * AT_ONCE]
            puts = (
                put
                for item in part
                for put in _puts(job_id, _subscription(_name(item), item), item, item["ttl"])
            )
            await self._table.write(*puts, synced=False)

        await limited(GROUPS_AT_ONCE, range(-(-len(items) // AT_ONCE)), write)
        return [_subscription(_name(item), item) for item in items]

    async def remove(self, job_id: JobId, follower: Subscription) -> None:
        await self._table.write(
            *_both(_place(job_id, follower.batch), follower.connection.id), synced=False
        )

    async def remove_batch(self, connection_id: str, batch_id: BatchId) -> None:
        """Delete all that makes a connection a follower of a batch."""
        partition, after = f"CONN#{connection_id}", None
        while True:
            page = await self._table.query(
                "main", partition, prefix="JOB#", limit=AT_ONCE, after=after
            )
            places = [item["sk"].removeprefix("JOB#") for item in page.items]
            gone = [
                delete
                for place in places
                if place.endswith(f"#{batch_id}")
                for delete in _both(place, connection_id)
            ]
            if gone:
                await self._table.write(*gone, synced=False)
            after = page.cursor
            if after is None:
                return

    async def disconnect(self, connection_id: str) -> None:
        """Delete a connection and its subscriptions."""
        partition = f"CONN#{connection_id}"
        while True:
            page = await self._table.query("main", partition, prefix="JOB#", limit=AT_ONCE)
            places = [item["sk"].removeprefix("JOB#") for item in page.items]
            gone = [delete for place in places for delete in _both(place, connection_id)]
            if page.cursor is None:
                await self._table.write(*gone, *await self._own(connection_id), synced=False)
                return
            await self._table.write(*gone, synced=False)

    async def _own(self, connection_id: str) -> Sequence[Delete]:
        """Return what deletes a connection itself, and its place under its API key."""
        key = (f"CONN#{connection_id}", "META")
        item = await self._table.get(key)
        if item is None or item.get("key") is None:
            return [Delete(key)]
        return [Delete(key), Delete((f"SOCKETS#{item['key']}", connection_id))]

    async def of_key(self, key_id: str) -> Sequence[Connection]:
        """Return the connections that were opened with an API key."""
        items = await self._all(f"SOCKETS#{key_id}", limit=PAGE)
        return [Connection(item["sk"], item["endpoint"]) for item in items]

    async def expired(self, now: datetime) -> Sequence[Connection]:
        """Return connections whose key or token has expired, as many as one look shows."""
        page = await self._table.query("active", EXPIRING, upto=sortable(now), limit=PAGE)
        items = [await self._table.get((item["pk"], item["sk"])) for item in page.items]
        return [
            Connection(item["pk"].removeprefix("CONN#"), item["endpoint"])
            for item in items
            if item is not None
        ]

    async def of_job(self, job_id: JobId) -> Sequence[Subscription]:
        return [_subscription(_name(item), item) for item in await self._of_job(job_id)]

    async def _of_job(self, job_id: JobId) -> Sequence[Item]:
        return await self._all(f"JOB#{job_id}", limit=FOLLOWERS_PAGE, prefix=FOLLOWERS)

    async def _all(self, partition: str, *, limit: int, prefix: str | None = None) -> list[Item]:
        """Read a partition page by page; a page may have less than ``limit``."""
        items: list[Item] = []
        after: Cursor | None = None
        while True:
            page = await self._table.query(
                "main", partition, prefix=prefix, limit=limit, after=after
            )
            items += page.items
            after = page.cursor
            if after is None:
                return items


def _name(item: Item) -> str:
    """Return whom a subscription of a job is of: a connection, or one and the batch it follows."""
    return str(item["sk"]).removeprefix(FOLLOWERS)


def _common(follower: Subscription) -> Item:
    """Return what each subscription of a follower has."""
    return {
        "endpoint": follower.connection.endpoint,
        "base_url": follower.base_url,
        "previews": follower.previews or None,
    }


def _held(key_id: str, connection: Connection, ttl: int) -> Item:
    place = {"pk": f"SOCKETS#{key_id}", "sk": connection.id}
    return {**place, "endpoint": connection.endpoint, "ttl": ttl}


def _ttl(now_s: int, until: datetime | None) -> int:
    ttl = now_s + FOLLOW_S
    return ttl if until is None else min(ttl, to_ms(until) // 1000)


def _place(job_id: JobId, batch_id: BatchId | None) -> str:
    """Return the name that a connection has a subscription under."""
    return job_id if batch_id is None else f"{job_id}#{batch_id}"


def _keys(place: str, connection_id: str) -> tuple[Key, Key]:
    """Return the keys of a subscription, which both its job and its connection list."""
    job_id, *batch_id = place.split("#")
    follower = "#".join([connection_id, *batch_id])
    return (f"JOB#{job_id}", f"{FOLLOWERS}{follower}"), (f"CONN#{connection_id}", f"JOB#{place}")


def _puts(job_id: JobId, follower: Subscription, common: Item, ttl: int) -> tuple[Put, Put]:
    """Return what stores a subscription."""
    of_job, of_connection = _keys(_place(job_id, follower.batch), follower.connection.id)
    return (
        Put({**common, "pk": of_job[0], "sk": of_job[1], "ttl": ttl}),
        Put({"pk": of_connection[0], "sk": of_connection[1], "ttl": ttl}),
    )


def _both(place: str, connection_id: str) -> tuple[Delete, Delete]:
    """Return what deletes a subscription."""
    of_job, of_connection = _keys(place, connection_id)
    return Delete(of_job), Delete(of_connection)


def _subscription(name: str, item: Item) -> Subscription:
    connection_id, *batch_id = name.split("#")
    return Subscription(
        Connection(connection_id, item["endpoint"]),
        item["base_url"],
        batch=BatchId(batch_id[0]) if batch_id else None,
        previews=item.get("previews", False),
    )


def caller_fields(caller: Caller) -> Item:
    return {
        "tenant": caller.tenant,
        "scopes": sorted(caller.scopes),
        "key": caller.key,
        "until": optional_ms(caller.until),
        "only_job": caller.only_job,
    }


def caller_in(item: Item) -> Caller:
    """Return the caller whose fields an item has; a scope that is not known any more is lost."""
    return Caller(
        TenantId(item["tenant"]),
        frozenset(scope for scope in Scope if scope in item["scopes"]),
        key=item.get("key"),
        until=optional_time(item.get("until")),
        only_job=item.get("only_job"),
    )
