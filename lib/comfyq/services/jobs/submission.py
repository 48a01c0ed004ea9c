"""Accepting requests: a request becomes a stored job, or is refused and nothing is stored."""

from collections.abc import Callable

from comfyq.domain.caller import Caller
from comfyq.domain.errors import IdempotencyMismatch
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.admission import AdmittedRequest
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.retry import Retry
from comfyq.records.demand import DemandRecords
from comfyq.records.idempotency import Idempotency, KeyTaken
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.accepted import Accepted, stored_answer
from comfyq.services.jobs.dispatch import Dispatch
from comfyq.services.jobs.idempotency import digest_of, promise_of
from comfyq.services.jobs.preparation import Preparation, PreparedJob
from comfyq.services.limits.submission_limits import SubmissionLimits
from comfyq.telemetry.tracing import tracing


class Submission:
    """Accept jobs for clients."""

    def __init__(
        self,
        *,
        records: JobRecords,
        demand: DemandRecords,
        preparation: Preparation,
        limits: SubmissionLimits,
        dispatch: Dispatch,
        new_id: Callable[[], JobId],
    ) -> None:
        self._records = records
        self._demand = demand
        self._preparation = preparation
        self._limits = limits
        self._dispatch = dispatch
        self._new_id = new_id

    async def submit(
        self,
        caller: Caller,
        request: Request | Retry,
        *,
        idempotency_key: str | None = None,
        job_id: JobId | None = None,
        instead_of: Job | None = None,
    ) -> Accepted:
        """Accept a request to run a workflow, a graph of the client's own, or a job once more.

        A job is accepted once its transaction is stored, whatever the queue answers: the reaper
        sends a lost doorbell again. A request with a ``job_id`` comes from a queue that accepted it
        already, so the rate limit does not apply. ``instead_of`` is the job that was refused under
        that id and is replaced.

        Raises:
            MissingScope, WorkflowNotFound, InvalidParameters, InvalidGraph: nothing was stored.
            IdempotencyMismatch: the key was used for another request within 24 hours.
            RateLimited: the requests of the caller's key or tenant are used up for now.
            TooManyWaiting: the tenant has as many waiting jobs as it may have.
            DailyJobsUsedUp: the tenant has made as many jobs today as it may make.
            DataBeingDeleted: all data of the tenant is being deleted.
            StaleJob: there is a job of that id, or ``instead_of`` has changed meanwhile.
            TableUnavailable: nothing was accepted.
        """
        await self._limits.require_open(caller.tenant)
        digest = "" if idempotency_key is None else digest_of(request)  # compared under a key alone
        if idempotency_key is not None:
            earlier = await self._records.idempotent(caller.tenant, idempotency_key)
            if earlier is not None:
                return await self._replay(*earlier, digest=digest)
        await self._limits.admit(caller, queued=job_id is not None)
        prepared = await self._prepared(caller, request, job_id or self._new_id())
        promise = promise_of(prepared.job, idempotency_key, digest)
        try:
            async with self._limits.counted(caller):
                return await self._accept(prepared, promise, instead_of=instead_of)
        except KeyTaken as taken:  # a concurrent submission with this key was stored first
            return await self._replay(taken.digest, taken.job_id, digest=digest)

    async def rehearse(self, caller: Caller, request: Request) -> AdmittedRequest:
        """Return the graph that a job of this request would run, without storing a job; raises
        what ``submit`` raises."""
        await self._limits.rate.acquire(caller)
        return await self._preparation.rehearse(caller, request)

    async def _prepared(
        self, caller: Caller, request: Request | Retry, job_id: JobId
    ) -> PreparedJob:
        with self._limits.released(caller):
            return await self._preparation.prepare(caller, request, job_id=job_id)

    async def _replay(self, stored: str, job_id: JobId, *, digest: str) -> Accepted:
        if stored != digest:
            raise IdempotencyMismatch(
                f"this Idempotency-Key was used for another request, job {job_id}; use a new key"
            )
        return await stored_answer(self._records, await self._records.get(job_id), replayed=True)

    async def _accept(
        self, prepared: PreparedJob, promise: Idempotency | None, *, instead_of: Job | None
    ) -> Accepted:
        """Store a job and dispatch it; raises KeyTaken, StaleJob."""
        job = await self._demand.note(prepared.job)
        with tracing.span("store", comfyq__job=job.id):
            job = await self._records.create(
                job,
                prepared.spec,
                promise,
                instead_of=instead_of,
                partner_key=prepared.partner_key,
            )
        job = await self._dispatch.dispatch(job)
        return Accepted(job, prepared.spec, prepared.outputs or ())
