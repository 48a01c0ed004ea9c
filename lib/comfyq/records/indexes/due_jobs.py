"""Jobs by deadline, in the index ``active``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.job import JobId
from comfyq.ports.table import Table
from comfyq.records.job_items import ACTIVE_SHARDS, active_partition, ended_partition
from comfyq.records.times import from_ms, sortable

URGENT = tuple(active_partition(shard) for shard in range(ACTIVE_SHARDS))
ENDED = tuple(ended_partition(shard) for shard in range(ACTIVE_SHARDS))
"""The partitions of jobs that need nothing but their deletion."""


@dataclass(frozen=True, slots=True)
class Due:
    """A job that time alone changes next."""

    id: JobId
    at: datetime


class DueJobs:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def upto(self, last: datetime, *, partition: str, limit: int) -> Sequence[Due]:
        """Return jobs whose deadline is at or before ``last``, the oldest first; the index lags."""
        page = await self._table.query("active", partition, upto=sortable(last), limit=limit)
        return [
            Due(JobId(item["pk"].removeprefix("JOB#")), from_ms(int(item["ask"])))
            for item in page.items
        ]
