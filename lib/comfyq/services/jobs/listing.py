"""Lists of jobs, narrowed by what they have in common.

One of the conditions leads to a partition of an index; the jobs that are listed there are read, as
they must be to be shown, and checked for the others. So a request reads a bounded number of jobs:
its page may have few, or none, and still say where to go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import FieldError, InvalidCursor, JobNotFound
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.submission.batch import Batch
from comfyq.domain.submission.selection import EVERY, Selection
from comfyq.ports.table import Cursor
from comfyq.records.batches.members import member_id
from comfyq.records.batches.records import BatchRecords
from comfyq.records.indexes.listed_jobs import (
    Listed,
    ListedJobs,
    ListedPage,
    Partition,
    of_label,
    of_statuses,
    of_tenant,
    of_workflow,
)
from comfyq.records.jobs import JobRecords

MOST_READ = 300  # jobs that one request reads, whatever it finds
READ_TOGETHER = 50  # where not each job that is listed need be chosen
AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs; ``cursor`` is where the next one begins, None after the last."""

    jobs: Sequence[Job]
    cursor: Cursor | None


class JobListing:
    """List a caller's own jobs, newest first."""

    def __init__(self, *, jobs: JobRecords, listed: ListedJobs, batches: BatchRecords) -> None:
        self._jobs = jobs
        self._listed = listed
        self._batches = batches

    async def page(
        self,
        caller: Caller,
        selection: Selection = EVERY,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> JobPage:
        """Return up to ``limit`` selected jobs, among the next MOST_READ that are listed.

        Raises:
            BatchNotFound: the selection names a batch that the caller has not.
            InvalidCursor: ``after`` is no place in that batch.
        """
        batch = await self._batch(caller.tenant, selection)
        chosen: list[Job] = []
        read = 0
        while read < MOST_READ:
            wanted = limit - len(chosen)
            if batch is None:
                page = await self._next(caller.tenant, selection, wanted, after)
            else:
                page = _of_batch(batch, max(wanted, READ_TOGETHER), after)
            jobs = await limited(AT_ONCE, [each.id for each in page.jobs], self._find)
            for each in page.jobs:
                job, after = jobs[each.id], each.place
                if job is not None and selection.has(job):
                    chosen.append(job)
                if len(chosen) == limit:
                    ends = page.is_last and each is page.jobs[-1]
                    return JobPage(chosen, None if ends else after)
            if page.is_last:
                return JobPage(chosen, None)
            read += len(page.jobs)
        return JobPage(chosen, after)

    async def _next(
        self, tenant: TenantId, selection: Selection, wanted: int, after: Cursor | None
    ) -> ListedPage:
        """Return the next jobs that are listed: as many as are wanted, or more where not each of
        them need be chosen."""
        partitions, is_exact = _partitions(tenant, selection)
        return await self._listed.page(
            partitions,
            limit=wanted if is_exact else max(wanted, READ_TOGETHER),
            after=after,
            since=selection.since,
            before=selection.before,
        )

    async def _batch(self, tenant: TenantId, selection: Selection) -> Batch | None:
        """Return the batch whose jobs are selected, if one is named; raises BatchNotFound."""
        if selection.batch is None:
            return None
        return await self._batches.get(selection.batch, tenant=tenant)

    async def _find(self, job_id: JobId) -> Job | None:
        try:
            return await self._jobs.get(job_id)
        except JobNotFound:
            return None  # deleted since; the index lags


def _partitions(tenant: TenantId, selection: Selection) -> tuple[Sequence[Partition], bool]:
    """Return the partitions that list the selected jobs, and whether they list no others.

    A label is what few jobs have; a status is, unless it is the one in which most jobs end.
    """
    conditions = len(selection.labels) + sum(
        each is not None for each in (selection.workflow, selection.statuses)
    )
    partitions = of_tenant(tenant)
    if selection.labels:
        partitions = of_label(tenant, *next(iter(selection.labels.items())))
    elif selection.statuses is not None and (
        selection.workflow is None or JobStatus.SUCCEEDED not in selection.statuses
    ):
        partitions = of_statuses(tenant, selection.statuses)
    elif selection.workflow is not None:
        partitions = of_workflow(tenant, selection.workflow)
    return partitions, conditions <= 1


def _of_batch(batch: Batch, limit: int, after: Cursor | None) -> ListedPage:
    """Return the jobs of a batch, whose ids follow from its own, the last request first."""
    end = batch.size if after is None else _index(after)
    rest = [index for index in reversed(batch.indexes) if index < end]
    return ListedPage(
        [
            Listed(member_id(batch.id, index), Cursor(str(index), batch.id, "BATCH"))
            for index in rest[:limit]
        ],
        is_last=len(rest) <= limit,
    )


def _index(after: Cursor) -> int:
    if not after.sort.isdecimal():
        message = "is of another list; begin again without one"
        raise InvalidCursor(f"cursor: {message}", [FieldError("cursor", message)])
    return int(after.sort)
