"""Jobs that were set aside for a worker that is able to run them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.job import JobId
from comfyq.ports.table import Cursor, Table
from comfyq.records.job_items import ASIDE_PARTITION
from comfyq.records.times import from_ms


@dataclass(frozen=True, slots=True)
class Aside:
    """A job that was set aside; the jobs behind it begin after ``cursor``."""

    id: JobId
    since: datetime
    cursor: Cursor


class AsideRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def list(self, *, limit: int, after: Cursor | None) -> Sequence[Aside]:
        """Return a page of these jobs, the longest waiting first; the index lags."""
        page = await self._table.query("ready", ASIDE_PARTITION, limit=limit, after=after)
        return [
            Aside(
                id=JobId(item["pk"].removeprefix("JOB#")),
                since=from_ms(int(item["rsk"].split("#", 1)[0])),
                cursor=Cursor(item["rsk"], item["pk"], item["sk"]),
            )
            for item in page.items
        ]
