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
from comfyq.domain.errors import QueueUnavailable
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import MAX_MESSAGES, Message
from comfyq.ports.queue import MAX_HIDE_S, MAX_WAIT_S, check_seconds

PUT = "INSERT INTO letter (box, id, body, attributes, visible_at) VALUES (?, ?, ?, ?, ?)"
LOOK = "SELECT visible_at FROM letter WHERE box = ? ORDER BY visible_at LIMIT 1"
NEXT = f"""SELECT seq, id, body, attributes, receives FROM letter
    WHERE box = ? AND visible_at <= ? ORDER BY visible_at, seq LIMIT {MAX_MESSAGES}"""
TAKE = "UPDATE letter SET visible_at = ?, receives = ? WHERE seq = ?"
MOVE = """UPDATE letter SET box = ?, receives = 0
    WHERE box = ? AND visible_at <= ? AND receives >= ?"""
ACK = "DELETE FROM letter WHERE seq = ? AND receives = ?"
SHOW = "UPDATE letter SET visible_at = ? WHERE seq = ? AND receives = ?"


@dataclass(frozen=True, slots=True)
class SqliteMessageDelivery:
    message: Message
    seq: int
    receives: int  # a later receive makes this one lapse
    inbox: "SqliteInbox"

    async def ack(self) -> None:
        await self.inbox.ack(self)

    async def hide(self, seconds: float) -> None:
        await self.inbox.hide(self, seconds)


class SqliteInbox:
    """The messages of one ``box`` in the table's own file.

    A message that was received ``max_receives`` times without an acknowledgement moves to the box
    ``dead`` when it would be delivered again; without ``dead`` it is delivered for ever.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        box: str,
        dead: str | None = None,
        visibility_s: float = 30,
        max_receives: int = 10,
    ) -> None:
        self._database = database
        self._clock = clock
        self._box = box
        self._dead = dead
        self._visibility_s = visibility_s
        self._max_receives = max_receives

    @property
    def name(self) -> str:
        return self._box

    async def put(self, message: Message) -> None:
        """Send, as a client of the same file may."""
        await self._database.write(
            lambda connection: put_message(connection, self._box, message, now_s=self._now_s()),
            failing=QueueUnavailable,
        )
        self._database.arrivals.note(self._box)

    async def receive(self, *, wait_s: float) -> Sequence[SqliteMessageDelivery]:
        check_seconds(wait_s, most=MAX_WAIT_S)
        deadline = time.monotonic() + wait_s
        arrivals = self._database.arrivals
        while True:
            noted = arrivals.noted(self._box)
            # A read takes no lock, so polling an idle inbox does not block writers.
            pause_s = await self._until_visible()
            if pause_s <= 0 and (taken := await self._take()):
                return taken
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return []
            await arrivals.wait(self._box, since=noted, timeout_s=min(pause_s, left_s))

    async def ack(self, delivery: SqliteMessageDelivery) -> None:
        receipt = (delivery.seq, delivery.receives)
        await self._database.write(
            lambda connection: connection.execute(ACK, receipt).rowcount, failing=QueueUnavailable
        )

    async def hide(self, delivery: SqliteMessageDelivery, seconds: float) -> None:
        check_seconds(seconds, most=MAX_HIDE_S)
        shown = (self._now_s() + seconds, delivery.seq, delivery.receives)
        await self._database.write(
            lambda connection: connection.execute(SHOW, shown).rowcount, failing=QueueUnavailable
        )
        if seconds < LOOK_S:  # else receivers look before
            self._database.arrivals.note(self._box, None if seconds > 0 else 1)

    async def _until_visible(self) -> float:
        """Return the seconds until a message is visible, 0 or less if one is."""
        row = await self._database.read(
            lambda connection: connection.execute(LOOK, (self._box,)).fetchone(),
            failing=QueueUnavailable,
        )
        return math.inf if row is None else float(row[0]) - self._now_s()

    async def _take(self) -> list[SqliteMessageDelivery]:
        future = self._database.submit(partial(self._next, self._now_s()))
        try:
            return await self._database.settled(future, failing=QueueUnavailable)
        except asyncio.CancelledError:
            future.add_done_callback(self._give_back)
            raise

    def _next(self, now_s: float, connection: sqlite3.Connection) -> list[SqliteMessageDelivery]:
        if self._dead is not None:
            connection.execute(MOVE, (self._dead, self._box, now_s, self._max_receives))
        rows = connection.execute(NEXT, (self._box, now_s)).fetchall()
        taken = [
            SqliteMessageDelivery(
                Message(id_, body, json.loads(attributes)), seq, receives + 1, self
            )
            for seq, id_, body, attributes, receives in rows
        ]
        hidden_until_s = now_s + self._visibility_s
        connection.executemany(TAKE, [(hidden_until_s, t.receives, t.seq) for t in taken])
        return taken

    def _give_back(self, future: Future[list[SqliteMessageDelivery]]) -> None:
        """Show messages again that were taken for a receiver who was canceled meanwhile."""
        if future.cancelled() or future.exception() or not (taken := future.result()):
            return
        shown = [(self._now_s(), delivery.seq, delivery.receives) for delivery in taken]
        given_back = self._database.submit(
            lambda connection: connection.executemany(SHOW, shown).rowcount
        )
        given_back.add_done_callback(lambda _: self._database.arrivals.note(self._box))

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


def put_message(
    connection: sqlite3.Connection, box: str, message: Message, *, now_s: float
) -> None:
    attributes = json.dumps(dict(message.attributes), ensure_ascii=False)
    connection.execute(PUT, (box, message.id, message.body, attributes, now_s))
