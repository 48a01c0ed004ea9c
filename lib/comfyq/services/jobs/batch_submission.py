"""Accepting batches: many requests stored and dispatched under one id."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from comfyq.aio.tasks import all_of, limited
from comfyq.aio.turns import Turns
from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller
from comfyq.domain.errors import (
    DomainError,
    FieldError,
    IdempotencyMismatch,
    InvalidParameters,
    InvalidRequest,
    JobNotFound,
    NotFound,
    TooLarge,
)
from comfyq.domain.job import Job
from comfyq.domain.submission.batch import MAX_STORED_BYTES, Batch, BatchId, Refusal, Retried
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.retry import Retry
from comfyq.ports.clock import Clock
from comfyq.records.batches.members import Member, member_id, transactions
from comfyq.records.batches.records import BatchRecords
from comfyq.records.demand import DemandRecords
from comfyq.records.idempotency import KeyTaken
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.accepted import Accepted, stored_answer
from comfyq.services.jobs.dispatch import Dispatch
from comfyq.services.jobs.idempotency import promise_of
from comfyq.services.jobs.preparation import Preparation, PreparedJob
from comfyq.services.limits.submission_limits import SubmissionLimits

MAX_NAMED = 100  # field errors that the refusal of a whole batch lists beyond each request's first
AT_ONCE = 10  # jobs of a batch that are read at the same time
STORE_WITHIN = timedelta(seconds=60)  # far longer than it takes; then its process is taken for dead

Asked = Request | Retry | InvalidRequest
"""One request of a batch, or the error that parsing it gave."""


@dataclass(frozen=True, slots=True)
class AskedBatch:
    """The requests of a batch; ``digest`` identifies the content of all of them."""

    asked: Sequence[Asked]
    digest: str


@dataclass(frozen=True, slots=True)
class BatchAccepted:
    """The answer to a batch: its stored jobs, by the index of their request."""

    batch: Batch
    jobs: Mapping[int, Accepted]
    new: Sequence[Job] = ()  # jobs whose dispatch or end is not yet recorded
    replayed: bool = False


class BatchSubmission:
    """Accept batches of up to MAX_REQUESTS requests for clients."""

    def __init__(
        self,
        *,
        records: BatchRecords,
        jobs: JobRecords,
        demand: DemandRecords,
        preparation: Preparation,
        limits: SubmissionLimits,
        dispatch: Dispatch,
        clock: Clock,
        new_id: Callable[[], BatchId],
    ) -> None:
        self._records = records
        self._jobs = jobs
        self._demand = demand
        self._preparation = preparation
        self._limits = limits
        self._dispatch = dispatch
        self._clock = clock
        self._new_id = new_id

    async def submit(
        self,
        caller: Caller,
        asked: Sequence[Asked],
        *,
        digest: str,
        idempotency_key: str | None = None,
        batch_id: BatchId | None = None,
        retried: Retried | None = None,
    ) -> BatchAccepted:
        """Accept those of up to MAX_REQUESTS requests that can be run.

        ``digest`` identifies the content of all requests. A batch sent again under its key gets the
        jobs that were not stored at first. The rate does not apply to a queue's (``batch_id``).

        Raises:
            InvalidParameters: none of the requests can be run; nothing was stored.
            IdempotencyMismatch: the key was used for another request within 24 hours.
            RateLimited, DataBeingDeleted: there is no room for all of them, or for anything.
            TableUnavailable: some jobs may be stored; the same key again stores the rest.
        """
        if idempotency_key is not None:
            earlier = await self._jobs.idempotent(caller.tenant, idempotency_key)
            if earlier is not None:
                return await self._replay(caller, asked, *earlier, digest=digest)
        new = await self._admitted(caller, batch_id, size=len(asked), digest=digest)
        with self._limits.released(caller, len(asked)):
            batch, members = await self._prepare(caller, replace(new, retried=retried), asked)
            if not members:
                raise _nothing_to_run(batch)
        self._limits.waiting.release(caller.tenant, len(asked) - len(members))
        try:
            async with self._limits.counted(caller, len(members)) as counted:
                await self._records.create(batch, promise_of(batch, idempotency_key, digest))
        except KeyTaken as taken:  # a concurrent submission with this key was stored first
            return await self._replay(caller, asked, taken.digest, taken.job_id, digest=digest)
        stored = await self._store(batch, [member for _, member in members.values()])
        rung = await self._rung(stored)
        await counted.take_back(len(members) - len(stored))  # another retry had them first
        return BatchAccepted(batch, _accepted(members), new=rung)

    async def note(self, accepted: BatchAccepted) -> None:
        """Record that all jobs of a batch are stored and each new one's doorbell was sent, and
        announce the jobs that ended at once.

        Called after the client has its answer. If it is never called, the reaper does the same.
        """
        now = self._clock.now()
        with suppress(DomainError):
            if accepted.batch.storing:
                await self._records.stored(accepted.batch)
                await self._dispatch.batch_stored(accepted.batch.id)
        with suppress(DomainError):
            rung = [job for job in accepted.new if not job.status.terminal and not job.is_aside]
            await self._records.save([jobs.ring(job, now=now) for job in rung])
            for job in accepted.new:
                if job.status.terminal:
                    await self._dispatch.announce(job)

    async def _replay(
        self, caller: Caller, asked: Sequence[Asked], stored: str, batch_id: str, *, digest: str
    ) -> BatchAccepted:
        await self._limits.require_open(caller.tenant)
        if stored != digest:
            raise IdempotencyMismatch(
                f"this Idempotency-Key was used for another request, {batch_id}; use a new key"
            )
        batch = await self._records.get(BatchId(batch_id))
        new: Sequence[Job] = ()
        if not batch.canceled and batch.may_grow:  # no limit counts this: else nothing is prepared
            until = self._clock.now() + STORE_WITHIN
            batch = await self._records.storing(batch, until=until)
            if not batch.canceled:
                batch, members = await self._prepare(caller, batch, asked)
                new = await self._rung(await self._store(batch, [m for _, m in members.values()]))
        answers = await limited(AT_ONCE, batch.indexes, lambda n: self._stored(batch, n))
        there = {index: answer for index, answer in answers.items() if answer is not None}
        return BatchAccepted(batch, there, new=new, replayed=True)

    async def _admitted(
        self, caller: Caller, batch_id: BatchId | None, *, size: int, digest: str
    ) -> Batch:
        """Make a batch for which there is room; raises RateLimited, DataBeingDeleted."""
        await self._limits.require_open(caller.tenant)
        await self._limits.admit(caller, size, queued=batch_id is not None)
        now = self._clock.now()
        return Batch(
            id=batch_id or self._new_id(),
            tenant=caller.tenant,
            created_at=now,
            size=size,
            digest=digest,
            storing=True,
            looked_at=now + STORE_WITHIN,
        )

    async def _prepare(
        self, caller: Caller, batch: Batch, asked: Sequence[Asked]
    ) -> tuple[Batch, dict[int, tuple[PreparedJob, Member]]]:
        """Return the batch with its refusals, and the jobs to store, by index.

        Requests that were refused the first time stay refused.
        """
        members: dict[int, tuple[PreparedJob, Member]] = {}
        refusals, turns, size = dict(batch.refusals), Turns(), 0
        for index in batch.indexes:
            try:
                made, member = await self._member(caller, asked[index], batch, index)
                if size + member.size > MAX_STORED_BYTES:
                    raise _too_large(size + member.size)
                members[index], size = (made, member), size + member.size
            except (InvalidRequest, NotFound, TooLarge) as error:
                refusals[index] = Refusal.of(error)
            await turns.give()
        return replace(batch, refusals=refusals), members

    async def _member(
        self, caller: Caller, asked: Asked, batch: Batch, index: int
    ) -> tuple[PreparedJob, Member]:
        if isinstance(asked, InvalidRequest):
            raise asked
        job_id = member_id(batch.id, index)
        made = await self._preparation.prepare(caller, asked, job_id=job_id)
        return made, self._records.member(made.job, made.spec, batch.id)

    async def _store(self, batch: Batch, members: Sequence[Member]) -> Sequence[Job]:
        """Store the jobs that are not stored yet, and return them."""
        await self._records.refuse(batch)
        members = [await self._placed(member, batch) for member in members]
        stored = await all_of(self._records.add(group) for group in transactions(members))
        return [job for group in stored for job in group]

    async def _rung(self, new: Sequence[Job]) -> Sequence[Job]:
        """Send the doorbells of new jobs and return these, or none if sending failed."""
        return new if await self._dispatch.ring_all(new) else []

    async def _placed(self, member: Member, batch: Batch) -> Member:
        """Return a member in the family that workers find it in."""
        job = await self._demand.note(member.job)
        return member if job is member.job else self._records.member(job, member.spec, batch.id)

    async def _stored(self, batch: Batch, index: int) -> Accepted | None:
        try:
            job = await self._jobs.get(member_id(batch.id, index))
            return await stored_answer(self._jobs, job)
        except JobNotFound:
            return None


def _accepted(members: Mapping[int, tuple[PreparedJob, Member]]) -> Mapping[int, Accepted]:
    return {
        index: Accepted(made.job, made.spec, made.outputs or ())
        for index, (made, _) in members.items()
    }


def _too_large(size: int) -> TooLarge:
    return TooLarge(
        f"the jobs of the batch would have {size} bytes with this one; the most is "
        f"{MAX_STORED_BYTES}: send it in another batch, or save what they share as a workflow"
    )


def _nothing_to_run(batch: Batch) -> InvalidParameters:
    """Return the error that lists the first bad field of every request, by its place in the body,
    and as many of the others as there is room for."""
    fields, left = [], MAX_NAMED
    for index, refusal in sorted(batch.refusals.items()):
        own = refusal.fields or (FieldError("", refusal.message),)
        listed = own[: 1 + left]
        left -= len(listed) - 1
        fields += [
            FieldError(f"requests.{index}" + (f".{each.field}" if each.field else ""), each.message)
            for each in listed
        ]
    return InvalidParameters(fields)
