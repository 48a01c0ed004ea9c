"""A tenant's jobs by age, as indexes list them, which lag behind the jobs themselves.

Each way to narrow a list has a partition of its own: the jobs of a status, of a workflow (listed by
their specs), with a label. So a page costs what it shows, however many jobs there are beside.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId, JobStatus
from comfyq.ports.table import Cursor, Item, Page, Table
from comfyq.records.job_items import (
    label_partition,
    status_partition,
    tenant_partition,
    workflow_partition,
)
from comfyq.records.times import EPOCH, sortable

Partition = tuple[str, str]  # an index and a partition of it


@dataclass(frozen=True, slots=True)
class Listed:
    """A job and its place in the list, behind which the next page begins."""

    id: JobId
    place: Cursor


@dataclass(frozen=True, slots=True)
class ListedPage:
    jobs: Sequence[Listed]
    is_last: bool


def of_tenant(tenant: TenantId) -> Sequence[Partition]:
    return [("tenant", tenant_partition(tenant))]


def of_statuses(tenant: TenantId, statuses: Collection[JobStatus]) -> Sequence[Partition]:
    return [("status", status_partition(tenant, status)) for status in sorted(statuses)]


def of_workflow(tenant: TenantId, workflow: str) -> Sequence[Partition]:
    return [("tenant", workflow_partition(tenant, workflow))]


def of_label(tenant: TenantId, name: str, value: str) -> Sequence[Partition]:
    return [("tenant", label_partition(tenant, name, value))]


class ListedJobs:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def page(
        self,
        partitions: Sequence[Partition],
        *,
        limit: int,
        after: Cursor | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> ListedPage:
        """Return a page of the jobs in ``partitions``, newest first, of those that were created at
        ``since`` or later and before ``before``; a page may miss the newest."""
        upto = None if before is None else sortable(max(before, EPOCH))
        pages = [
            await self._table.query(
                index, partition, limit=limit, upto=upto, descending=True, after=after
            )
            for index, partition in partitions
        ]
        items = _merged(pages)
        chosen = [item for item in items[:limit] if since is None or _is_since(item, since)]
        is_cut = len(items) > limit or any(page.cursor for page in pages)
        is_last = not is_cut or len(chosen) < min(limit, len(items))
        return ListedPage([_listed(item) for item in chosen], is_last)


def _merged(pages: Sequence[Page]) -> Sequence[Item]:
    return sorted((item for page in pages for item in page.items), key=_place, reverse=True)


def _is_since(item: Item, since: datetime) -> bool:
    return str(item["tsk"]) >= sortable(max(since, EPOCH))


def _listed(item: Item) -> Listed:
    return Listed(JobId(item["pk"].removeprefix("JOB#")), _place(item))


def _place(item: Item) -> Cursor:
    return Cursor(item["tsk"], item["pk"], item["sk"])
