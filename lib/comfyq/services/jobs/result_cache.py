"""Reuse of an earlier job's results by later jobs that request it and would make the same.

A job that reuses results refers to the files of the earlier job and owns none. The earlier job is
kept for as long as any job that refers to it, and is deleted with its files after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from comfyq.domain import job as jobs
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import Conflict, IllegalTransition, JobNotFound
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.store_kind import StoreKind
from comfyq.domain.submission.result_key import obstacle, reuse_key
from comfyq.domain.submission.spec import Spec
from comfyq.ports.clock import Clock
from comfyq.records.jobs import JobRecords
from comfyq.records.reuse.results import ResultRecords
from comfyq.records.reuse.reusers import ReuserRecords
from comfyq.records.store_kinds import StoreKindRecords
from comfyq.services.files.job_deletion import LAST
from comfyq.services.limits.retention import Retention

OFTEN = timedelta(days=1)  # a job's deletion is postponed at most so often


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A job that has succeeded, and its outputs."""

    job: Job
    outputs: Sequence[Output]


class ResultCache:
    """Find and record reusable results, each tenant's apart."""

    def __init__(
        self,
        *,
        records: JobRecords,
        results: ResultRecords,
        reusers: ReuserRecords,
        kinds: StoreKindRecords,
        clock: Clock,
        retention: Retention,
    ) -> None:
        self._records = records
        self._results = results
        self._reusers = reusers
        self._kinds = kinds
        self._clock = clock
        self._retention = retention

    def keyed(self, spec: Spec) -> Spec:
        """Return the spec with its reuse key, or with a warning that says why it has none."""
        why_not = obstacle(spec)
        if why_not is None:
            return replace(spec, reuse_key=reuse_key(spec))
        return replace(spec, warnings=(*spec.warnings, f"reuse: {why_not}"))

    async def find(self, job: Job, spec: Spec) -> CachedResult | None:
        """Find the results of an earlier job of the tenant, and keep them for ``job`` as well.

        None: there is no such job, it has not succeeded, its deletion is near, or a simulator
        made its results and the store has a real ComfyUI now; or ``job`` is stored already, because
        its message or batch comes again.
        """
        if spec.reuse_key is None:
            return None
        known = await self._results.find(job.tenant, spec.reuse_key)
        if known is None or await self._is_stored(job.id):
            return None
        # Noted before the earlier job is read, which ``condemn`` writes before the notes are read:
        # of a reuse and a deletion at the same time, the later one sees the other.
        is_new = await self._reusers.add(known, job.id)
        earlier = await self._kept(known, job.tenant, spec.reuse_key)
        if earlier is None:
            if is_new:
                await self._reusers.withdraw(known, job.id)
            return None
        return CachedResult(earlier, await self._records.outputs(earlier.id))

    async def note(self, job: Job, spec: Spec) -> None:
        """Record the results of a job about to succeed for later jobs, if it requested reuse."""
        if spec.reuse_key is not None:
            until = self._clock.now() + await self._retention.of(job.tenant)
            await self._results.note(job.tenant, spec.reuse_key, job.id, until=until)

    async def _is_stored(self, job_id: JobId) -> bool:
        """Return whether there is a job of this id, but for one that failed and may be replaced."""
        try:
            return (await self._records.get(job_id)).status is not JobStatus.FAILED
        except JobNotFound:
            return False

    async def _kept(self, known: JobId, tenant: TenantId, key: str) -> Job | None:
        """Return a job whose deletion is put off until after that of a job that ends now."""
        try:
            earlier = await self._records.get(known)
            if earlier.status is not JobStatus.SUCCEEDED or earlier.tenant != tenant:
                return None
            if earlier.simulated and await self._kinds.kind() is StoreKind.REAL:
                return None
            retention = await self._retention.of(tenant)
            kept = await self._records.update(earlier, partial(_keep, retention=retention))
        except (JobNotFound, Conflict):
            return None
        if kept is not earlier and kept.kept_until is not None:
            await self._results.note(tenant, key, earlier.id, until=kept.kept_until)
        return kept


def _keep(earlier: Job, *, now: datetime, retention: timedelta) -> Job:
    """Raise IllegalTransition if a job is too near its deletion.

    The reaper re-reads a job before it deletes it. Refusing jobs within ``LAST`` of their
    deletion lets this write land before that read.
    """
    ends = _end_of_life(earlier, retention)
    if ends - now < LAST:
        raise IllegalTransition(f"{earlier.id} is about to be deleted")
    if ends >= now + retention and earlier.kept_until is not None:
        return earlier
    return jobs.keep(earlier, until=now + retention + OFTEN, now=now)


def _end_of_life(job: Job, kept: timedelta) -> datetime:
    if not job.end_pending or job.ended_at is None:
        return job.due_at
    return max(job.ended_at + kept, job.kept_until or job.ended_at)
