"""Dead letters: messages that queues gave up on, stored to be read and sent again on demand.

A dead doorbell never fails its job: a job that still waits is sent a new one. A dead submission
becomes a job like any other submission, or a failed job that says why.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import DEFAULT_TENANT, Caller, TenantId
from comfyq.domain.dead_letter import DeadLetter, Origin, RedriveOutcome
from comfyq.domain.errors import Conflict, DeadLetterNotFound, JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Message
from comfyq.ports.queue import JobQueue
from comfyq.ports.table import Cursor
from comfyq.records.dead_letters import DeadLetterRecords
from comfyq.records.jobs import JobRecords
from comfyq.services.access.audit import Audit


class Resubmission(Protocol):
    """The handler of dead submissions."""

    async def take_dead(self, caller: Caller, message: Message) -> RedriveOutcome: ...

    async def redrive(self, message: DeadLetter) -> RedriveOutcome: ...


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    dead_letters: Sequence[DeadLetter]
    cursor: Cursor | None


class DeadLetters:
    """Store dead letters; list and redrive them for operators.

    Dead letters belong to a tenant; unattributable ones go to the default tenant.
    """

    def __init__(
        self,
        *,
        records: DeadLetterRecords,
        jobs: JobRecords,
        queue: JobQueue,
        resubmission: Resubmission,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._records = records
        self._jobs = jobs
        self._queue = queue
        self._resubmission = resubmission
        self._audit = audit
        self._clock = clock

    async def keep_submission(self, caller: Caller, message: Message) -> RedriveOutcome:
        """Store a dead request of this caller, and submit it once more; repeating it is harmless.

        Raises:
            Unavailable: leave the message in its queue, to be delivered again.
        """
        outcome = await self._resubmission.take_dead(caller, message)
        return _logged(message, Origin.SUBMISSIONS, outcome)

    async def keep_doorbell(self, message: Message) -> RedriveOutcome:
        """Store a dead doorbell, and send a new one if its job waits; repeating it is harmless.

        Raises:
            Unavailable: leave the message in its queue, to be delivered again.
        """
        job = await self._job(message.body)
        await self._records.add(
            DeadLetter(
                id=message.id,
                origin=Origin.JOBS,
                tenant=DEFAULT_TENANT if job is None else job.tenant,
                body=message.body,
                attributes=message.attributes,
                reason="was received too often without being acknowledged",
                buried_at=self._clock.now(),
            )
        )
        return _logged(message, Origin.JOBS, await self._ring(job))

    async def list(
        self, tenant: TenantId, *, limit: int, after: Cursor | None = None
    ) -> DeadLetterPage:
        """Return a page of a tenant's dead letters, newest first."""
        page = await self._records.list(tenant, limit=limit, after=after)
        dead_letters = [await self._find(letter_id) for letter_id in page.ids]
        return DeadLetterPage(
            [message for message in dead_letters if message is not None], page.cursor
        )

    async def get(self, letter_id: str) -> DeadLetter:
        """Return a dead letter of any tenant; raises DeadLetterNotFound."""
        return await self._records.get(letter_id)

    async def redrive(self, caller: Caller, letter_id: str) -> tuple[DeadLetter, RedriveOutcome]:
        """Send a dead letter again; it stays readable, and counts how often it was redriven.

        Raises:
            DeadLetterNotFound: see ``get``.
            TooContended: another request redrives it at the same time.
        """
        found = await self.get(letter_id)
        redriven = AuditAction.DEAD_LETTER_REDRIVEN
        await self._audit.note(found.tenant, Actor.of(caller), redriven, letter_id)
        message = await self._records.count_redrive(found)
        if message.origin is Origin.SUBMISSIONS:
            return message, await self._resubmission.redrive(message)
        return message, await self._ring(await self._job(message.body))

    async def _ring(self, job: Job | None) -> RedriveOutcome:
        if job is None:
            return RedriveOutcome.GONE
        if job.status.terminal or job.lease is not None:
            return RedriveOutcome.HEARD
        await self._queue.send(job.id, tenant=job.tenant)
        with suppress(Conflict, JobNotFound):  # claimed, ended or deleted meanwhile
            await self._jobs.update(job, jobs.ring)
        return RedriveOutcome.RUNG

    async def _job(self, body: str) -> Job | None:
        """Return the job that a doorbell names; None if the body is no doorbell or the job is
        deleted."""
        job_id = rung_job(body)
        if job_id is None:
            return None
        try:
            return await self._jobs.get(job_id)
        except JobNotFound:
            return None

    async def _find(self, letter_id: str) -> DeadLetter | None:
        try:
            return await self._records.get(letter_id)
        except DeadLetterNotFound:
            return None  # expired since it was listed; the index lags


def _logged(message: Message, origin: Origin, outcome: RedriveOutcome) -> RedriveOutcome:
    log.warning("dead_letter", message=message.id, origin=origin, outcome=outcome)
    return outcome


def rung_job(body: str) -> JobId | None:
    """Return the id in a doorbell's body; None if the body is no doorbell."""
    try:
        doorbell = json.loads(body)
    except (ValueError, RecursionError):
        return None
    job_id = doorbell.get("job_id") if isinstance(doorbell, dict) else None
    return JobId(job_id) if isinstance(job_id, str) and 0 < len(job_id) <= 100 else None
