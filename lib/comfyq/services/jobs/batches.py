"""Batches: many requests accepted, followed and canceled as one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from comfyq.aio.tasks import all_of
from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller
from comfyq.domain.errors import (
    BatchNotFound,
    DomainError,
    FieldError,
    IdempotencyMismatch,
    InvalidParameters,
    InvalidRequest,
    JobNotFound,
    NotFound,
    TooLarge,
)
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.domain.submission.batch import Batch, BatchId, Refusal
from comfyq.domain.submission.request import Request
from comfyq.ports.clock import Clock
from comfyq.ports.queue import JobQueue
from comfyq.records.batches import BatchRecords, Member, job_id_of, transactions
from comfyq.records.families import FamilyRecords
from comfyq.records.jobs import JobRecords, KeyTaken
from comfyq.services.jobs.idempotency import promise_of
from comfyq.services.jobs.submission import Accepted, Submission

T = TypeVar("T")

AT_ONCE = 10  # jobs of a batch that are read or cancelled at the same time
TURN = 5  # requests that are prepared before others have their turn
MAX_NAMED = 100  # bad fields of a batch of which nothing can be run

Asked = Request | InvalidRequest
"""One request of a batch, or why it could not even be read."""


@dataclass(frozen=True, slots=True)
class BatchAccepted:
    """The answer to a batch: what was stored of it, by the request's index."""

    batch: Batch
    jobs: Mapping[int, Accepted]
    new: Sequence[Job] = ()  # of which it is not noted yet that they were rung for, or have ended
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as it is now; a job that is in neither map is gone, or was never made."""

    batch: Batch
    jobs: Mapping[int, Job]
    outputs: Mapping[int, Sequence[Output]]  # of those that have succeeded


class Batches:
    """Another tenant's batch is not found."""

    def __init__(
        self,
        *,
        records: BatchRecords,
        jobs: JobRecords,
        families: FamilyRecords,
        submission: Submission,
        queue: JobQueue,
        clock: Clock,
        new_id: Callable[[], BatchId],
    ) -> None:
        self._records = records
        self._jobs = jobs
        self._families = families
        self._submission = submission
        self._queue = queue
        self._clock = clock
        self._new_id = new_id

    async def submit(
        self,
        caller: Caller,
        asked: Sequence[Asked],
        *,
        digest: str,
        idempotency_key: str | None = None,
    ) -> BatchAccepted:
        """Accept what can be accepted of up to 100 requests.

        ``digest`` tells the requests of two batches apart. A batch that is sent again under its
        key gets those jobs that it has not got yet.

        Raises:
            InvalidParameters: not one of the requests can be run; nothing was stored.
            IdempotencyMismatch: the key was used for something else within 24 hours.
            RateLimited: the tenant's requests in this minute are used up.
            TableUnavailable: not all was stored; sent again under its key, the rest is.
        """
        if idempotency_key is not None:
            earlier = await self._jobs.idempotent(caller.tenant, idempotency_key)
            if earlier is not None:
                return await self._replay(caller, asked, *earlier, digest=digest)
        await self._submission.admit(caller, len(asked))
        new = self._new(caller, size=len(asked), digest=digest)
        batch, members = await self._prepare(caller, new, asked)
        if not members:
            raise _nothing_to_run(batch)
        try:
            await self._records.create(batch, promise_of(batch, idempotency_key, digest))
        except KeyTaken as taken:  # the same batch came twice at once, and the other was first
            return await self._replay(caller, asked, taken.digest, taken.job_id, digest=digest)
        stored = await self._store(batch, [member for _, member in members.values()])
        there = {index: accepted for index, (accepted, _) in members.items()}
        return BatchAccepted(batch, there, new=stored)

    async def note(self, accepted: BatchAccepted) -> None:
        """Note that the queue was sent a doorbell for each job, once the client has its answer,
        and tell of those that needed no work.

        Who does not come to this loses nothing: the reaper makes it good.
        """
        now = self._clock.now()
        with suppress(DomainError):
            waiting = [job for job in accepted.new if not job.status.terminal]
            await self._records.save([jobs.ring(job, now=now) for job in waiting])
            for job in accepted.new:
                if job.status.terminal:
                    await self._submission.announce(job)

    async def get(self, caller: Caller, batch_id: BatchId) -> BatchState:
        """Raises BatchNotFound."""
        batch = await self._records.get(batch_id)
        if batch.tenant != caller.tenant:
            raise BatchNotFound(f"there is no batch {batch_id}")
        found = await _each(self._of(batch), lambda n: self._find(batch, n))
        alive = {n: job for n, job in found.items() if job is not None}
        succeeded = [n for n, job in alive.items() if job.status == "succeeded"]
        outputs = await _each(succeeded, lambda n: self._jobs.outputs(alive[n].id))
        return BatchState(batch, alive, outputs)

    async def cancel(self, caller: Caller, batch_id: BatchId) -> BatchState:
        """Ask for the cancellation of every job of a batch; idempotent, and never an error for
        those that have ended."""
        state = await self.get(caller, batch_id)
        if not state.batch.canceled:
            await self._records.cancel(state.batch)
        pending = [n for n, job in state.jobs.items() if not job.status.terminal]
        await _each(pending, lambda n: self._cancel(caller, state.jobs[n]))
        return await self.get(caller, batch_id)

    def _new(self, caller: Caller, *, size: int, digest: str) -> Batch:
        return Batch(
            id=self._new_id(),
            tenant=caller.tenant,
            created_at=self._clock.now(),
            size=size,
            digest=digest,
        )

    async def _prepare(
        self, caller: Caller, batch: Batch, asked: Sequence[Asked]
    ) -> tuple[Batch, dict[int, tuple[Accepted, Member]]]:
        """The batch with its refusals, and what is to be stored of the rest.

        What was refused the first time stays refused.
        """
        members: dict[int, tuple[Accepted, Member]] = {}
        refusals = dict(batch.refusals)
        for index in self._of(batch):
            try:
                members[index] = await self._member(caller, asked[index], batch, index)
            except (InvalidRequest, NotFound, TooLarge) as error:
                refusals[index] = Refusal.of(error)
            if index % TURN == TURN - 1:
                await asyncio.sleep(0)  # a hundred of them would keep everybody else waiting
        return replace(batch, refusals=refusals), members

    async def _member(
        self, caller: Caller, asked: Asked, batch: Batch, index: int
    ) -> tuple[Accepted, Member]:
        if isinstance(asked, InvalidRequest):
            raise asked
        job_id = job_id_of(batch.id, index)
        made = await self._submission.prepare(caller, asked, job_id=job_id)
        return made, self._records.member(made.job, made.spec, made.outputs)

    async def _store(self, batch: Batch, members: Sequence[Member]) -> Sequence[Job]:
        """Store the jobs that are missing and ring for them; the new ones."""
        await self._records.refuse(batch)
        for family in {member.job.family for member in members}:
            await self._families.note(family)
        stored = await all_of(self._records.add(group) for group in transactions(members))
        new = [job for group in stored for job in group]
        waiting = [job.id for job in new if not job.status.terminal]
        try:
            await self._queue.send_many(waiting, tenant=batch.tenant)
        except DomainError:
            return []  # a job whose ring is not noted is rung for by the reaper
        return new

    async def _replay(
        self, caller: Caller, asked: Sequence[Asked], stored: str, batch_id: str, *, digest: str
    ) -> BatchAccepted:
        if stored != digest:
            raise IdempotencyMismatch(
                f"this Idempotency-Key stands for another request, {batch_id}; use a new key"
            )
        batch = await self._records.get(BatchId(batch_id))
        new: Sequence[Job] = ()
        if not batch.canceled:
            batch, members = await self._prepare(caller, batch, asked)
            new = await self._store(batch, [member for _, member in members.values()])
        there = await _each(self._of(batch), lambda n: self._stored(batch, n))
        found = {index: it for index, it in there.items() if it is not None}
        return BatchAccepted(batch, found, new=new, replayed=True)

    def _of(self, batch: Batch) -> Sequence[int]:
        """The indexes of the requests that are jobs."""
        return [index for index in range(batch.size) if index not in batch.refusals]

    async def _find(self, batch: Batch, index: int) -> Job | None:
        try:
            return await self._jobs.get(job_id_of(batch.id, index))
        except JobNotFound:
            return None

    async def _stored(self, batch: Batch, index: int) -> Accepted | None:
        job = await self._find(batch, index)
        return None if job is None else await self._submission.stored(job)

    async def _cancel(self, caller: Caller, job: Job) -> None:
        try:
            await self._submission.cancel(caller, job.id)
        except JobNotFound:
            return  # deleted meanwhile


async def _each(indexes: Sequence[int], work: Callable[[int], Awaitable[T]]) -> dict[int, T]:
    """The result of ``work`` for each index, a few at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> tuple[int, T]:
        async with turns:
            return index, await work(index)

    return dict(await all_of(one(index) for index in indexes))


def _nothing_to_run(batch: Batch) -> InvalidParameters:
    """Every bad field of every request, as its place in the body."""
    fields = [
        FieldError(f"requests.{index}" + (f".{each.field}" if each.field else ""), each.message)
        for index, refusal in batch.refusals.items()
        for each in refusal.fields or [FieldError("", refusal.message)]
    ]
    return InvalidParameters(fields[:MAX_NAMED])
