"""Jobs that got a follower before they ended, and the reasons to wait that followers were told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comfyq.domain.job import JobId
from comfyq.ports.table import Cursor, Delete, Item, Key, Put, Table

PARTITION = "FOLLOWED"
PREFIX = "JOB#"
TOLD: Key = (PARTITION, "TOLD")
PAGE = 100
ANY_WORKER = "*"  # stands for the worker of jobs that none holds


@dataclass(frozen=True, slots=True)
class FollowedPage:
    ids: Sequence[JobId]
    cursor: Cursor | None


class FollowedJobRecords:
    """List followed jobs by their followers alone, whatever number of jobs waits. A job is listed
    until ``remove``, or until a socket cannot be open any more."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def page(self, *, after: Cursor | None = None) -> FollowedPage:
        page = await self._table.query("main", PARTITION, prefix=PREFIX, limit=PAGE, after=after)
        ids = [JobId(item["sk"].removeprefix(PREFIX)) for item in page.items]
        return FollowedPage(ids, page.cursor)

    async def remove(self, job_id: JobId) -> None:
        await self._table.write(Delete((PARTITION, f"{PREFIX}{job_id}")), synced=False)

    async def told(self) -> Mapping[str, str]:
        """Return the reasons that were stored last."""
        item = await self._table.get(TOLD)
        return {} if item is None else item["reasons"]

    async def note_told(self, reasons: Mapping[str, str]) -> None:
        item = {"pk": TOLD[0], "sk": TOLD[1], "reasons": dict(reasons)}
        await self._table.write(Put(item), synced=False)


def followed_item(job_id: JobId, *, ttl: int) -> Item:
    """Return the item that lists a job; each subscription writes it anew."""
    return {"pk": PARTITION, "sk": f"{PREFIX}{job_id}", "ttl": ttl}
