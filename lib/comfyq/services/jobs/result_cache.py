"""Results of earlier jobs for later ones that would make the same, for who asks for it.

A job that reuses results refers to the files of the job that made them, and owns none: that job
is kept for as long as the last that refers to it may be, and is deleted with its files after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from comfyq.domain import job as jobs
from comfyq.domain.errors import Conflict, JobNotFound
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.store_kind import StoreKind
from comfyq.domain.submission.result_key import obstacle, reuse_key
from comfyq.domain.submission.spec import Spec
from comfyq.ports.clock import Clock
from comfyq.records.jobs import JobRecords
from comfyq.records.results import ResultRecords
from comfyq.records.store_kinds import StoreKindRecords

LAST = timedelta(minutes=5)  # before a job is deleted; no request takes so long
OFTEN = timedelta(days=1)  # a job's end is moved on at most so often


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A job that has succeeded, and what it made."""

    job: Job
    outputs: Sequence[Output]


class ResultCache:
    """``retention`` is how long ended jobs are kept. Another tenant's results are not found."""

    def __init__(
        self,
        *,
        records: JobRecords,
        results: ResultRecords,
        kinds: StoreKindRecords,
        clock: Clock,
        retention: timedelta,
    ) -> None:
        self._records = records
        self._results = results
        self._kinds = kinds
        self._clock = clock
        self._retention = retention

    def keyed(self, spec: Spec) -> Spec:
        """The spec with the key of its results, or with a warning why there is none."""
        why_not = obstacle(spec)
        if why_not is None:
            return replace(spec, reuse_key=reuse_key(spec))
        return replace(spec, warnings=(*spec.warnings, f"reuse: {why_not}"))

    async def find(self, job: Job, spec: Spec) -> CachedResult | None:
        """Find the results of an earlier job of the tenant, and keep them for ``job`` as well.

        None: there is no such job, it has not ended yet, its end of life is near, or a simulator
        made its results and there is a real ComfyUI now.
        """
        if spec.reuse_key is None:
            return None
        known = await self._results.find(job.tenant, spec.reuse_key)
        if known is None:
            return None
        try:
            earlier = await self._records.get(known)
            if earlier.status is not JobStatus.SUCCEEDED or earlier.tenant != job.tenant:
                return None
            if earlier.simulated and await self._kinds.kind() is StoreKind.REAL:
                return None
            if not await self._keep(earlier, spec.reuse_key):
                return None
        except (JobNotFound, Conflict):
            return None
        return CachedResult(earlier, await self._records.outputs(earlier.id))

    async def note(self, job: Job, spec: Spec) -> None:
        """Let later jobs have the results of one that succeeds now, if it asked for reuse."""
        if spec.reuse_key is not None:
            until = self._clock.now() + self._retention
            await self._results.note(job.tenant, spec.reuse_key, job.id, until=until)

    async def _keep(self, earlier: Job, key: str) -> bool:
        """See that a job outlives one that ends now; False: it may be gone any moment.

        Who deletes decides on a read after its end; who comes ``LAST`` before it has written
        by then.
        """
        now = self._clock.now()
        ends = self._end_of_life(earlier)
        if ends - now < LAST:
            return False
        if ends < now + self._retention:
            until = now + self._retention + OFTEN
            await self._records.update(earlier, partial(jobs.keep, until=until))
            await self._results.note(earlier.tenant, key, earlier.id, until=until)
        return True

    def _end_of_life(self, job: Job) -> datetime:
        if not job.end_pending or job.ended_at is None:
            return job.due_at
        return max(job.ended_at + self._retention, job.kept_until or job.ended_at)
