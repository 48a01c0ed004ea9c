"""Waiting jobs that workers may claim, in the index ``ready``: a partition for each model family,
in it the tenants one after the other, and of each tenant the jobs in the order of their claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.job import Job, JobId
from comfyq.ports.table import Cursor, Item, Table
from comfyq.records.job_items import ReadyKey, lane_of, ready_partition

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that no worker holds."""

    id: JobId
    family: str
    lane: str  # its tenant's: tenants take turns in the order of their lanes
    rank: datetime  # its place within the lane
    since: datetime  # not claimable before

    @property
    def place(self) -> tuple[datetime, JobId]:
        return self.rank, self.id

    @property
    def key(self) -> str:
        """Return its sort key in the index, unless a version without lanes has stored it."""
        return ReadyKey(self.lane, self.rank, self.since, self.id).text

    @property
    def lead(self) -> timedelta:
        """Return what its priority moves it ahead."""
        return self.since - self.rank


class ReadyRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def beyond(self, family: str, key: str | None, *, limit: int) -> Sequence[Waiting]:
        """Return waiting jobs of a model family lane by lane, from behind a job's key or the end of
        a lane (``end_of``) on; None: from the first on. The index lags."""
        partition = ready_partition(family)
        page = await self._table.query("ready", partition, limit=limit, above=key)
        return [_waiting(item, family) for item in page.items]

    async def of_tenant(self, family: str, tenant: TenantId, *, limit: int) -> Sequence[Waiting]:
        """Return a tenant's waiting jobs of a model family, in order; the index lags."""
        page = await self._table.query(
            "ready", ready_partition(family), limit=limit, prefix=f"{lane_of(tenant)}#"
        )
        return [_waiting(item, family) for item in page.items]

    async def tally(self, family: str, *, most: int) -> tuple[int, datetime | None]:
        """Count the waiting jobs of a model family, up to ``most``, and tell since when the first
        of them waits; the index lags."""
        sinces: list[datetime] = []
        after: Cursor | None = None
        while len(sinces) < most:
            limit, partition = min(PAGE, most - len(sinces)), ready_partition(family)
            page = await self._table.query("ready", partition, limit=limit, after=after)
            sinces += [_waiting(item, family).since for item in page.items]
            after = page.cursor
            if after is None:
                break
        return len(sinces), min(sinces, default=None)


def waiting(job: Job) -> Waiting:
    """Return a job as the index lists it while it waits."""
    return _of_key(ReadyKey.of(job), job.family)


def _waiting(item: Item, family: str) -> Waiting:
    return _of_key(ReadyKey.read(item["rsk"]), family)


def _of_key(key: ReadyKey, family: str) -> Waiting:
    return Waiting(key.job_id, family, key.lane, key.rank, key.since)
