import asyncio
import json
import math
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from comfyq.adapters.sqlite.arrivals import LOOK_S
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.inbox import put_message
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Message
from comfyq.ports.queue import MAX_DELAY_S, MAX_HIDE_S, MAX_WAIT_S, TAKEN_S, check_seconds

JOBS = "jobs"  # the topic of its messages
DEAD_BOX = "jobs-dead"  # the inbox of dead doorbells

# The receiver of a message may still acknowledge it, and then no doorbell would be left.
REPLACED = "DELETE FROM message WHERE job_id = ? AND (visible_at > ? OR receives > 0)"
SEND = """INSERT INTO message (job_id, tenant, visible_at) SELECT ?1, ?2, ?3
    WHERE NOT EXISTS (SELECT 1 FROM message WHERE job_id = ?1)"""
LOOK = "SELECT visible_at FROM message ORDER BY visible_at LIMIT 1"
NEXT = """SELECT id, job_id, receives FROM message WHERE visible_at <= ?
    ORDER BY visible_at, id LIMIT 1"""
TAKE = "UPDATE message SET visible_at = ?, receives = receives + 1 WHERE id = ?"
REMOVE = "DELETE FROM message WHERE id = ?"
ACK = "DELETE FROM message WHERE id = ? AND receives = ?"
HIDE = "UPDATE message SET visible_at = ? WHERE id = ? AND receives = ?"
COUNT = "SELECT COUNT(*) FROM message"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt of one message; a later receipt makes it lapse."""

    id: int
    receives: int
    job_id: JobId


@dataclass(slots=True)
class SqliteDelivery:
    receipt: Receipt
    queue: "SqliteQueue"
    settled: bool = False  # its message was deleted by the transaction that stored the outcome

    @property
    def job_id(self) -> JobId:
        return self.receipt.job_id

    async def ack(self) -> None:
        if not self.settled:
            await self.queue.ack(self.receipt)

    async def hide(self, seconds: float) -> None:
        await self.queue.hide(self.receipt, seconds)


class SqliteQueue:
    """The queue of one machine, in the table's own file.

    Its own writes are not synced: doorbells that a power cut loses or repeats cost time, never a
    job. A later synced write of the table makes them durable too.

    A message that was received ``max_receives`` times and never acknowledged is moved to
    the box DEAD_BOX when its turn would come again.

    A job has one message: a second one that is sent replaces one that was received or would be
    visible later, and is dropped beside one that keeps its place in the queue.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        visibility_s: float = TAKEN_S,
        max_receives: int = 10,
    ) -> None:
        self._database = database
        self._clock = clock
        self._visibility_s = visibility_s
        self._max_receives = max_receives

    async def send(self, job_id: JobId, *, tenant: TenantId, delay_s: float = 0) -> None:
        check_seconds(delay_s, most=MAX_DELAY_S)
        message = (job_id, tenant, self._now_s() + delay_s)
        await self._database.write(
            partial(_send, messages=[message]), synced=False, failing=QueueUnavailable
        )
        self._shown_in(delay_s)

    async def send_many(self, job_ids: Sequence[JobId], *, tenant: TenantId) -> None:
        now_s = self._now_s()
        messages = [(job_id, tenant, now_s) for job_id in job_ids]
        await self._database.write(
            partial(_send, messages=messages), synced=False, failing=QueueUnavailable
        )
        self._shown_in(0, count=len(messages))

    async def receive(self, *, wait_s: float) -> SqliteDelivery | None:
        check_seconds(wait_s, most=MAX_WAIT_S)
        deadline = time.monotonic() + wait_s
        arrivals = self._database.arrivals
        while True:
            noted = arrivals.noted(JOBS)
            # A read takes no lock, so idle workers do not block writers.
            pause_s = await self._until_visible()
            if pause_s <= 0 and (receipt := await self._take()):
                return SqliteDelivery(receipt, self)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            await arrivals.wait(JOBS, since=noted, timeout_s=min(pause_s, left_s))

    async def count(self) -> int:
        row = await self._database.read(
            lambda connection: connection.execute(COUNT).fetchone(), failing=QueueUnavailable
        )
        return int(row[0])

    async def ack(self, receipt: Receipt) -> None:
        await self._write(ACK, (receipt.id, receipt.receives))

    async def hide(self, receipt: Receipt, seconds: float) -> None:
        check_seconds(seconds, most=MAX_HIDE_S)
        await self._write(HIDE, (self._now_s() + seconds, receipt.id, receipt.receives))
        self._shown_in(seconds)

    def send_within(
        self, connection: sqlite3.Connection, job_id: JobId, *, tenant: TenantId
    ) -> None:
        """Send within the caller's transaction."""
        _send(connection, [(job_id, tenant, self._now_s())])

    def ack_within(self, connection: sqlite3.Connection, receipt: Receipt) -> None:
        """Acknowledge within the caller's transaction."""
        connection.execute(ACK, (receipt.id, receipt.receives))

    def _shown_in(self, seconds: float, *, count: int = 1) -> None:
        """Wake receivers, which look by themselves after a while, for what is visible before."""
        if seconds < LOOK_S:
            self._database.arrivals.note(JOBS, None if seconds > 0 else count)

    async def _until_visible(self) -> float:
        """Return the seconds until a message is visible, 0 or less if one is."""
        row = await self._database.read(
            lambda connection: connection.execute(LOOK).fetchone(), failing=QueueUnavailable
        )
        return math.inf if row is None else float(row[0]) - self._now_s()

    async def _take(self) -> Receipt | None:
        take = partial(self._next, self._now_s())
        try:
            return self._database.write_at_once(take)
        except (sqlite3.Error, OSError):
            future = self._database.submit(take, synced=False)  # busy, or broken: a thread waits
        try:
            return await self._database.settled(future, failing=QueueUnavailable)
        except asyncio.CancelledError:
            future.add_done_callback(self._give_back)
            raise

    def _next(self, now_s: float, connection: sqlite3.Connection) -> Receipt | None:
        while (row := connection.execute(NEXT, (now_s,)).fetchone()) is not None:
            id_, job_id, receives = row
            if receives < self._max_receives:
                connection.execute(TAKE, (now_s + self._visibility_s, id_))
                return Receipt(id_, receives + 1, JobId(job_id))
            dead = Message(f"doorbell-{id_}", json.dumps({"job_id": job_id}))
            put_message(connection, DEAD_BOX, dead, now_s=now_s)
            connection.execute(REMOVE, (id_,))
        return None

    def _give_back(self, future: Future[Receipt | None]) -> None:
        """Show a message again that was taken for a receiver who was canceled meanwhile."""
        if future.cancelled() or future.exception() or (receipt := future.result()) is None:
            return
        shown = (self._now_s(), receipt.id, receipt.receives)
        hidden = self._database.submit(
            lambda connection: connection.execute(HIDE, shown).rowcount, synced=False
        )
        hidden.add_done_callback(lambda _: self._shown_in(0))

    async def _write(self, sql: str, arguments: tuple[object, ...]) -> None:
        await self._database.write(
            lambda connection: connection.execute(sql, arguments).rowcount,
            synced=False,
            failing=QueueUnavailable,
        )

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


def _send(
    connection: sqlite3.Connection, messages: Sequence[tuple[JobId, TenantId, float]]
) -> None:
    connection.executemany(REPLACED, [(job_id, visible_at) for job_id, _, visible_at in messages])
    connection.executemany(SEND, messages)
