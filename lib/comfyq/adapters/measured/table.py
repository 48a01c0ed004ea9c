from collections.abc import Coroutine
from typing import Any

from comfyq.adapters.measured.calls import Calls
from comfyq.ports.joint import Doorbell, Instead, JointWrites
from comfyq.ports.queue import Delivery
from comfyq.ports.table import Cursor, Item, Key, Page, Sum, Table, Write
from comfyq.telemetry.numbers import TABLE_CALLS, TABLE_ERRORS, TABLE_SECONDS

CALLS = Calls(TABLE_CALLS, TABLE_SECONDS, TABLE_ERRORS)


class MeasuredTable:
    """A table whose calls are counted."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, key: Key) -> Coroutine[Any, Any, Item | None]:
        return CALLS.measured("get", self._table.get(key))

    def query(
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
    ) -> Coroutine[Any, Any, Page]:
        page = self._table.query(
            index,
            partition,
            limit=limit,
            prefix=prefix,
            upto=upto,
            above=above,
            descending=descending,
            after=after,
        )
        return CALLS.measured("query", page)

    def write(self, *writes: Write, synced: bool = True) -> Coroutine[Any, Any, None]:
        return CALLS.measured("write", self._table.write(*writes, synced=synced))

    def add(
        self, key: Key, by: int, *, least: int = 0, most: int, ttl: int
    ) -> Coroutine[Any, Any, Sum]:
        return CALLS.measured("add", self._table.add(key, by, least=least, most=most, ttl=ttl))


class MeasuredJointWrites:
    """Joint writes that count as writes of the table."""

    def __init__(self, joint: JointWrites) -> None:
        self._joint = joint

    def write(
        self,
        *writes: Write,
        ring: Doorbell | None = None,
        ack: Delivery | None = None,
        instead: Instead | None = None,
    ) -> Coroutine[Any, Any, bool]:
        written = self._joint.write(*writes, ring=ring, ack=ack, instead=instead)
        return CALLS.measured("write", written)
