"""Jobs that got a follower before they ended, and the reasons to wait that followers were told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from comfyq.domain.job import JobId
from comfyq.ports.table import Cursor, Delete, Item, Key, Put, Table

PARTITION = "FOLLOWED"
PREFIX = "JOB#"
TOLD: Key = (PARTITION, "TOLD")
PAGE = 100
ANY_WORKER = "*"  # stands for the worker of jobs that none holds


@dataclass(frozen=True, slots=True)
class FollowedJob:
    id: JobId
    since_s: int  # when its newest follower came (epoch seconds)


@dataclass(frozen=True, slots=True)
class FollowedPage:
    jobs: Sequence[FollowedJob]
    cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class Told:
    """Reasons to wait, by worker, that followers were told."""

    reasons: Mapping[str, str] = field(default_factory=dict)
    at_s: int = 0  # when they changed (epoch seconds)
    settled: bool = True  # each follower was told these, also whoever came while they changed


class FollowedJobRecords:
    """List followed jobs by their followers alone, whatever number of jobs waits. A job is listed
    until ``remove``, or until a socket cannot be open any more."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def page(self, *, after: Cursor | None = None) -> FollowedPage:
        page = await self._table.query("main", PARTITION, prefix=PREFIX, limit=PAGE, after=after)
        return FollowedPage([_followed(item) for item in page.items], page.cursor)

    async def remove(self, job_id: JobId) -> None:
        await self._table.write(Delete((PARTITION, f"{PREFIX}{job_id}")), synced=False)

    async def told(self) -> Told:
        """Return what was stored last."""
        item = await self._table.get(TOLD)
        return Told() if item is None else Told(item["reasons"], item["at"], item["settled"])

    async def note_told(self, told: Told) -> None:
        key = {"pk": TOLD[0], "sk": TOLD[1]}
        what = {"reasons": dict(told.reasons), "at": told.at_s, "settled": told.settled}
        await self._table.write(Put({**key, **what}), synced=False)


def followed_item(job_id: JobId, *, now_s: int, ttl: int) -> Item:
    """Return the item that lists a job; each subscription writes it anew."""
    return {"pk": PARTITION, "sk": f"{PREFIX}{job_id}", "since": now_s, "ttl": ttl}


def _followed(item: Item) -> FollowedJob:
    return FollowedJob(JobId(item["sk"].removeprefix(PREFIX)), item["since"])
