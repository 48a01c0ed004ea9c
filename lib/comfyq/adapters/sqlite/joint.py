import sqlite3

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.queue import JOBS, SqliteDelivery, SqliteQueue
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.domain.errors import TableUnavailable
from comfyq.ports.joint import Doorbell, Instead
from comfyq.ports.queue import Delivery
from comfyq.ports.table import Write, check


class SqliteJointWrites:
    """The table and the queue of one file, in one transaction, which is synced."""

    def __init__(self, *, database: Database, table: SqliteTable, queue: SqliteQueue) -> None:
        self._database = database
        self._table = table
        self._queue = queue

    async def write(
        self,
        *writes: Write,
        ring: Doorbell | None = None,
        ack: Delivery | None = None,
        instead: Instead | None = None,
    ) -> bool:
        if ack is not None and not isinstance(ack, SqliteDelivery):
            raise ValueError(f"{ack!r} was not received from this file's queue")
        check(writes)
        if instead is not None:
            check([instead.put])

        def work(connection: sqlite3.Connection) -> bool:
            is_other = instead is not None and not self._table.has_within(
                connection, instead.partition, instead.prefix
            )
            chosen = [instead.put, *writes[1:]] if instead and is_other else writes
            self._table.write_within(chosen, connection)
            if ring is not None:
                self._queue.send_within(connection, ring.job_id, tenant=ring.tenant)
            if ack is not None:
                self._queue.ack_within(connection, ack.receipt)
            return is_other

        is_other = await self._database.write(work, failing=TableUnavailable)
        if ring is not None:
            self._database.arrivals.note(JOBS)
        if ack is not None:
            ack.settled = True
        return is_other
