"""``JOB#id`` / ``USE#other``: which jobs have the results of this one.

An item is written before its job, which may then not be stored after all, and goes with that job.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.ports.table import ConditionFailed, Cursor, Delete, Key, Put, Table
from comfyq.records.times import from_ms, to_ms

PREFIX = "USE#"
PAGE = 100
FIRST = 1  # the version of a note that nobody has needed again


@dataclass(frozen=True, slots=True)
class Reuser:
    """A job that has, or is about to have, the results of another one."""

    id: JobId
    since: datetime


class ReuserRecords:
    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def add(self, earlier: JobId, reuser: JobId) -> bool:
        """Note a job before it is stored; whoever deletes ``earlier`` then reads of it.

        Return True if this call made the note; else the job may be stored already.
        """
        pk, sk = reuser_key(earlier, reuser)
        note = {"pk": pk, "sk": sk, "since": to_ms(self._clock.now()), "version": FIRST}
        try:
            await self._table.write(Put(note, absent=True), synced=False)
        except ConditionFailed:
            await self._table.write(Put(note | {"version": FIRST + 1}), synced=False)
            return False
        return True

    async def withdraw(self, earlier: JobId, reuser: JobId) -> None:
        """Delete the note that ``add`` has made, unless it was needed again since."""
        with suppress(ConditionFailed):
            await self._table.write(
                Delete(reuser_key(earlier, reuser), version=FIRST), synced=False
            )

    async def of(self, earlier: JobId) -> AsyncIterator[Reuser]:
        """Yield the noted jobs, by id."""
        after: Cursor | None = None
        while True:
            page = await self._table.query(
                "main", f"JOB#{earlier}", prefix=PREFIX, limit=PAGE, after=after
            )
            for item in page.items:
                yield Reuser(JobId(item["sk"].removeprefix(PREFIX)), from_ms(item["since"]))
            after = page.cursor
            if after is None:
                return


def reuser_key(earlier: JobId, reuser: JobId) -> Key:
    return f"JOB#{earlier}", f"{PREFIX}{reuser}"
