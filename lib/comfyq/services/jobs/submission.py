"""Accepting, showing, listing and cancelling jobs, for the client who asks."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from comfyq.aio.tasks import all_of
from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller
from comfyq.domain.errors import (
    DomainError,
    IdempotencyMismatch,
    JobNotFound,
    OutputNotFound,
    RateLimited,
)
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.job.attempt import Attempt
from comfyq.domain.submission.admission import AdmittedRequest
from comfyq.domain.submission.provenance import describe
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.spec import Spec
from comfyq.ports.clock import Clock
from comfyq.ports.queue import JobQueue
from comfyq.ports.table import Cursor
from comfyq.records.families import FamilyRecords
from comfyq.records.jobs import Idempotency, JobRecords, KeyTaken
from comfyq.records.times import to_ms
from comfyq.records.updates import update
from comfyq.services.jobs.admission import Admission
from comfyq.services.jobs.idempotency import digest_of, promise_of
from comfyq.services.jobs.input_files import InputFiles
from comfyq.services.jobs.result_cache import ResultCache
from comfyq.services.notify.announcer import Announcer

RATE_WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submission; a replayed one tells of the first."""

    job: Job
    spec: Spec
    outputs: Sequence[Output] = ()  # of an earlier job, if they are reused
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is known of a job."""

    job: Job
    spec: Spec
    outputs: Sequence[Output]
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: Sequence[Job]
    cursor: Cursor | None


class Submission:
    """What clients may do with jobs. Another tenant's job is not found."""

    def __init__(
        self,
        *,
        records: JobRecords,
        families: FamilyRecords,
        queue: JobQueue,
        admission: Admission,
        input_files: InputFiles,
        reuse: ResultCache,
        announcer: Announcer,
        clock: Clock,
        new_id: Callable[[], JobId],
        requests_per_minute: int | None = None,
    ) -> None:
        self._records = records
        self._families = families
        self._queue = queue
        self._admission = admission
        self._input_files = input_files
        self._reuse = reuse
        self._announcer = announcer
        self._clock = clock
        self._new_id = new_id
        self._requests_per_minute = requests_per_minute

    async def submit(
        self,
        caller: Caller,
        request: Request,
        *,
        idempotency_key: str | None = None,
        job_id: JobId | None = None,
        instead_of: Job | None = None,
    ) -> Accepted:
        """Accept a request to run a workflow, or a graph of the client's own.

        Once the transaction is in, the job is accepted, whatever the queue says: the reaper rings
        for a job whose doorbell was lost. A request that names its ``job_id`` was accepted by a
        queue before it came here, so no rate limit refuses it. ``instead_of`` is the job that was
        refused under that id and is now tried again.

        Raises:
            WorkflowNotFound, InvalidParameters, InvalidGraph: nothing was stored.
            IdempotencyMismatch: the key was used for another request within 24 hours.
            RateLimited: the tenant's requests in this minute are used up.
            StaleJob: there is a job of that id, or it is not as ``instead_of`` any more.
            TableUnavailable: nothing was accepted.
        """
        digest = digest_of(request)
        if idempotency_key is not None:
            earlier = await self._records.idempotent(caller.tenant, idempotency_key)
            if earlier is not None:
                return await self._replay(*earlier, digest=digest)
        if job_id is None:
            await self.admit(caller)
        prepared = await self.prepare(caller, request, job_id=job_id)
        promise = promise_of(prepared.job, idempotency_key, digest)
        try:
            return await self._accept(prepared, promise, instead_of=instead_of)
        except KeyTaken as taken:  # the same request came twice at once, and the other was first
            return await self._replay(taken.digest, taken.job_id, digest=digest)

    async def ring(self, job: Job) -> None:
        """Ring for a job that waits and note that it rang; what fails here the reaper repairs."""
        try:
            await self._queue.send(job.id, tenant=job.tenant)
            rung = partial(jobs.ring, now=self._clock.now())
            await update(self._records, self._clock, job, rung)
        except DomainError:
            # Claimed or ended already: it was heard. Not rung: the reaper rings.
            return

    async def announce(self, job: Job) -> Job:
        """Tell of a job that ended when it was stored."""
        return await self._announcer.announce_end(job)

    async def get(self, caller: Caller, job_id: JobId) -> Job:
        """The job of that id, or of that second id; raises JobNotFound, also for another
        tenant's job."""
        try:
            job = await self._records.get(job_id)
        except JobNotFound:
            named = await self._records.named(job_id)
            if named is None:
                raise
            job = await self._records.get(named)
        if job.tenant != caller.tenant:
            raise JobNotFound(f"there is no job {job_id}")
        return job

    async def outputs(self, caller: Caller, job_id: JobId) -> Sequence[Output]:
        job = await self.get(caller, job_id)
        return await self._records.outputs(job.id)

    async def story(self, caller: Caller, job_id: JobId) -> Story:
        job = await self.get(caller, job_id)
        return Story(
            job=job,
            spec=await self._records.spec(job.id),
            outputs=await self._records.outputs(job.id),
            attempts=await self._records.attempts(job.id),
        )

    async def metadata(self, caller: Caller, job_id: JobId, *, version: str) -> dict[str, Any]:
        """How a job's outputs are made.

        Raises:
            JobNotFound.
            OutputNotFound: it was asked for without metadata.
        """
        job = await self.get(caller, job_id)
        spec = await self._records.spec(job.id)
        if not spec.metadata:
            raise OutputNotFound(f"job {job.id} was asked for without metadata")
        return describe(job, spec, version=version)

    async def list(
        self,
        caller: Caller,
        *,
        limit: int,
        after: Cursor | None = None,
        statuses: Collection[JobStatus] | None = None,
    ) -> JobPage:
        """A page of the caller's jobs, newest first."""
        listed = await self._records.list(
            caller.tenant, limit=limit, after=after, statuses=statuses
        )
        found = [await self._find(job_id) for job_id in listed.ids]
        return JobPage([job for job in found if job is not None], listed.cursor)

    async def cancel(self, caller: Caller, job_id: JobId) -> Job:
        """Ask for a job's cancellation; idempotent, and no error for a job that has ended."""
        before = await self.get(caller, job_id)
        cancel = partial(jobs.request_cancel, now=self._clock.now())
        job = await update(self._records, self._clock, before, cancel)
        if job.end_pending and not before.status.terminal:
            job = await self._announcer.announce_end(job)
        return job

    async def _find(self, job_id: JobId) -> Job | None:
        try:
            return await self._records.get(job_id)
        except JobNotFound:
            return None  # deleted since; the index lags

    async def prepare(
        self, caller: Caller, request: Request, *, job_id: JobId | None = None
    ) -> Accepted:
        """A job that nobody has stored yet; raises what ``submit`` raises for a bad request.

        It has succeeded already where the request may have, and there are, an earlier job's
        results.
        """
        admitted = await self._admission.admit(request)
        job = jobs.submitted(
            id=job_id or self._new_id(),
            tenant=caller.tenant,
            workflow=admitted.workflow,
            family=admitted.family,
            limits=admitted.limits,
            created_at=self._clock.now(),
        )
        settled = await self._input_files.settle(caller, admitted.spec)
        spec = replace(settled, metadata=request.metadata)
        if not request.reuse:
            return Accepted(job, spec)
        spec = self._reuse.keyed(spec)
        found = await self._reuse.find(job, spec)
        if found is None:
            return Accepted(job, spec)
        reused = jobs.reuse(job, of=found.job, now=self._clock.now())
        return Accepted(reused, spec, found.outputs)

    async def rehearse(self, caller: Caller, request: Request) -> AdmittedRequest:
        """What a job of this request would run, without making one; raises as ``submit`` does."""
        await self.admit(caller)
        admitted = await self._admission.admit(request)
        self._input_files.check(admitted.spec)
        return admitted

    async def _replay(self, stored: str, job_id: JobId, *, digest: str) -> Accepted:
        if stored != digest:
            raise IdempotencyMismatch(
                f"this Idempotency-Key stands for another request, job {job_id}; use a new key"
            )
        return replace(await self.stored(await self._records.get(job_id)), replayed=True)

    async def stored(self, job: Job) -> Accepted:
        """The answer to the submission of a job that is stored; raises JobNotFound."""
        outputs = [] if job.reused_from is None else await self._records.outputs(job.id)
        return Accepted(job, await self._records.spec(job.id), outputs)

    async def _accept(
        self, prepared: Accepted, promise: Idempotency | None, *, instead_of: Job | None
    ) -> Accepted:
        """Store a job and see that it goes on; raises KeyTaken, StaleJob."""
        is_reused = prepared.job.reused_from is not None
        await self._families.note(prepared.job.family)
        job = await self._records.create(
            prepared.job,
            prepared.spec,
            promise,
            instead_of=instead_of,
            outputs=prepared.outputs if is_reused else None,
        )
        if is_reused:
            job = await self.announce(job)
        else:
            await self.ring(job)
        return replace(prepared, job=job)

    async def admit(self, caller: Caller, requests: int = 1) -> None:
        """Count requests; raises RateLimited where the tenant's are used up."""
        if self._requests_per_minute is None:
            return
        now_s = to_ms(self._clock.now()) // 1000
        window = now_s // RATE_WINDOW_S
        ends = (window + 1) * RATE_WINDOW_S
        cap = self._requests_per_minute
        count = partial(
            self._records.count_request, caller.tenant, window=window, cap=cap, ttl=ends
        )
        if not all(await all_of(count() for _ in range(requests))):
            raise RateLimited(f"over {cap} requests a minute", retry_after_s=ends - now_s)
