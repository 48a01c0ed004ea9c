import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.schema import COLUMNS
from comfyq.adapters.sqlite.select import Select
from comfyq.domain.errors import TableUnavailable
from comfyq.ports.clock import Clock
from comfyq.ports.items import added, check_query, holds, live, projected, stored
from comfyq.ports.table import (
    MAIN,
    ConditionFailed,
    Cursor,
    Delete,
    Item,
    Key,
    Page,
    Put,
    Sum,
    Write,
    check,
    check_key,
)

EXPIRY_EVERY_S = 60
EXPIRY_AFTER_S = 3600  # clocks of processes that share the file may differ
SPACE_EVERY_S = 1.0
SPARE_PAGES = 256  # empty ones that the file keeps: 1 MB
FREED_PAGES = 1_000  # given back at a time, so that no write waits long
EXPIRY_ITEMS = 200  # deleted at a time, so that no write waits long

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # made once
DECODER = json.JSONDecoder()

GET = "SELECT body FROM item WHERE pk = ? AND sk = ?"
PUT = (
    f"INSERT INTO item ({', '.join(COLUMNS)}, body) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
)
DELETE = "DELETE FROM item WHERE pk = ? AND sk = ?"
EXPIRY = f"""DELETE FROM item WHERE (pk, sk) IN
    (SELECT pk, sk FROM item WHERE ttl IS NOT NULL AND ttl <= ? LIMIT {EXPIRY_ITEMS})"""


class SqliteTable:
    """The table of one machine. Several processes may share the database's file."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._expired_at_s = 0.0  # monotonic
        self._freed_at_s = 0.0

    async def get(self, key: Key) -> Item | None:
        check_key(key)
        item = await self._database.read(
            lambda connection: _find(connection, key), failing=TableUnavailable
        )
        return live(item, self._clock.now())

    async def query(
        self,
        index: str,
        partition: str,
        *,
        limit: int,
        prefix: str | None = None,
        upto: str | None = None,
        above: str | None = None,
        descending: bool = False,
        after: Cursor | None = None,
    ) -> Page:
        bounds = {"prefix": prefix, "upto": upto, "above": above}
        check_query(index, partition, limit=limit, bounds=bounds, after=after)
        if after is not None:
            await asyncio.sleep(0)  # a read need not suspend: many pages would block the event loop
        select = Select(index, partition, prefix, upto, above, descending, after)
        sql, arguments = select.statement(self._clock.now(), limit=limit + 1)
        rows = await self._database.read(
            lambda connection: connection.execute(sql, arguments).fetchall(),
            failing=TableUnavailable,
        )
        items = [projected(index, DECODER.decode(body)) for body, *_ in rows[:limit]]
        return Page(items, Cursor(*rows[limit - 1][1:]) if len(rows) > limit else None)

    async def write(self, *writes: Write, synced: bool = True) -> None:
        check(writes)
        await self._database.write(
            partial(self.write_within, writes), synced=synced, failing=TableUnavailable
        )

    def has_within(self, connection: sqlite3.Connection, partition: str, prefix: str) -> bool:
        """Return whether the transaction sees an item whose sort key begins with ``prefix``."""
        select = Select(MAIN, partition, prefix, None, None, descending=False, after=None)
        sql, arguments = select.statement(self._clock.now(), limit=1)
        return connection.execute(sql, arguments).fetchone() is not None

    async def add(self, key: Key, by: int, *, least: int = 0, most: int, ttl: int) -> Sum:
        check_key(key)
        now = self._clock.now()

        def add(connection: sqlite3.Connection) -> Sum:
            row = _find(connection, key)
            result, put = added(live(row, now), key, by, least=least, most=most, ttl=ttl)
            if put is not None:
                _store(connection, put, row)
            return result

        return await self._database.write(add, synced=False, failing=TableUnavailable)

    def write_within(self, writes: Sequence[Write], connection: sqlite3.Connection) -> None:
        """Do ``writes``, which ``check`` has passed, within the caller's transaction."""
        now = self._clock.now()
        rows = [_find(connection, write.key) for write in writes]
        items = [live(row, now) for row in rows]
        refused = {
            position: item
            for position, (write, item) in enumerate(zip(writes, items, strict=True))
            if not holds(write, item)
        }
        if refused:
            raise ConditionFailed(refused)
        for write, row in zip(writes, rows, strict=True):
            _store(connection, write, row)
        self._delete_expired(connection, now)
        self._free_pages(connection)

    def _delete_expired(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Delete long expired items beside a write, at most every EXPIRY_EVERY_S."""
        if time.monotonic() < self._expired_at_s + EXPIRY_EVERY_S:
            return
        deleted = connection.execute(EXPIRY, (now.timestamp() - EXPIRY_AFTER_S,)).rowcount
        if deleted < EXPIRY_ITEMS:
            self._expired_at_s = time.monotonic()

    def _free_pages(self, connection: sqlite3.Connection) -> None:
        """Give pages that deletions have emptied back to the disk beside a write, at most every
        SPACE_EVERY_S."""
        if time.monotonic() < self._freed_at_s + SPACE_EVERY_S:
            return
        self._freed_at_s = time.monotonic()
        (empty,) = connection.execute("PRAGMA freelist_count").fetchone()
        if empty > SPARE_PAGES:
            freed = min(empty - SPARE_PAGES, FREED_PAGES)
            connection.execute(f"PRAGMA incremental_vacuum({freed})").fetchall()


def _find(connection: sqlite3.Connection, key: Key) -> dict[str, Any] | None:
    row = connection.execute(GET, key).fetchone()
    return DECODER.decode(row[0]) if row else None


def _store(connection: sqlite3.Connection, write: Write, row: Item | None) -> None:
    """Do a write that replaces ``row``, the stored one, live or expired."""
    match write:
        case Delete():
            connection.execute(DELETE, write.key)
        case Put() if row is None:
            item = stored(write.item)
            values = [item.get(column) for column in COLUMNS]
            connection.execute(PUT, (*values, ENCODER.encode(item)))
        case Put():
            item = stored(write.item)
            changed = tuple([name for name in COLUMNS if item.get(name) != row.get(name)])
            values = [item.get(column) for column in changed]
            connection.execute(_update(changed), (*values, ENCODER.encode(item), *write.key))


@lru_cache(maxsize=256)
def _update(columns: Sequence[str]) -> str:
    """Return the statement that leaves alone the entries of every index whose columns stay as they
    are: most writes of a job change none of them."""
    assignments = "".join(f"{column} = ?, " for column in columns)
    return f"UPDATE item SET {assignments}body = ? WHERE pk = ? AND sk = ?"
