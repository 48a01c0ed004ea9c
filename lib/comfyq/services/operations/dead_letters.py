"""Dead letters: buried where they can be read, and sent again on demand.

A dead doorbell is never a failure: its job is rung again if it still waits. A dead submission is
dealt with like any other, now that its queue has given up on it.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, Caller
from comfyq.domain.dead_letter import DeadLetter, Origin, RedriveOutcome
from comfyq.domain.errors import Conflict, DeadLetterNotFound, JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Letter
from comfyq.ports.queue import JobQueue
from comfyq.ports.table import Cursor
from comfyq.records.dead_letters import DeadLetterRecords
from comfyq.records.jobs import JobRecords


class Resubmission(Protocol):
    """The handler of dead submissions."""

    async def bury(self, caller: Caller, letter: Letter) -> RedriveOutcome: ...

    async def redrive(self, letter: DeadLetter) -> RedriveOutcome: ...


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    letters: Sequence[DeadLetter]
    cursor: Cursor | None


class DeadLetters:
    """A letter is its tenant's own; what nobody can be named for is the default tenant's."""

    def __init__(
        self,
        *,
        records: DeadLetterRecords,
        jobs: JobRecords,
        queue: JobQueue,
        resubmission: Resubmission,
        clock: Clock,
    ) -> None:
        self._records = records
        self._jobs = jobs
        self._queue = queue
        self._resubmission = resubmission
        self._clock = clock

    async def bury_submission(self, caller: Caller, letter: Letter) -> RedriveOutcome:
        """Keep a dead request of this caller, and take it once more; repeating it is harmless.

        Raises:
            Unavailable: the letter must come again.
        """
        outcome = await self._resubmission.bury(caller, letter)
        return _logged(letter, Origin.SUBMISSIONS, outcome)

    async def bury_doorbell(self, letter: Letter) -> RedriveOutcome:
        """Keep a dead doorbell, and ring again if its job waits; repeating it is harmless.

        Raises:
            Unavailable: the letter must come again.
        """
        job = await self._job(letter.body)
        await self._records.add(
            DeadLetter(
                id=letter.id,
                origin=Origin.JOBS,
                tenant=DEFAULT_TENANT if job is None else job.tenant,
                body=letter.body,
                attributes=letter.attributes,
                reason="was received too often without being acknowledged",
                buried_at=self._clock.now(),
            )
        )
        return _logged(letter, Origin.JOBS, await self._ring(job))

    async def list(
        self, caller: Caller, *, limit: int, after: Cursor | None = None
    ) -> DeadLetterPage:
        """A page of the caller's dead letters, newest first."""
        page = await self._records.list(caller.tenant, limit=limit, after=after)
        found = [await self._find(letter_id) for letter_id in page.ids]
        return DeadLetterPage([letter for letter in found if letter is not None], page.cursor)

    async def get(self, caller: Caller, letter_id: str) -> DeadLetter:
        """Raises DeadLetterNotFound, also for another tenant's letter."""
        letter = await self._records.get(letter_id)
        if letter.tenant != caller.tenant:
            raise DeadLetterNotFound(f"there is no dead letter {letter_id}")
        return letter

    async def redrive(self, caller: Caller, letter_id: str) -> tuple[DeadLetter, RedriveOutcome]:
        """Send a letter again; it stays readable, with the number of times that this was done.

        Raises:
            DeadLetterNotFound: see ``get``.
            TooContended: somebody else does the same just now.
        """
        letter = await self._records.count_redrive(await self.get(caller, letter_id))
        if letter.origin is Origin.SUBMISSIONS:
            return letter, await self._resubmission.redrive(letter)
        return letter, await self._ring(await self._job(letter.body))

    async def _ring(self, job: Job | None) -> RedriveOutcome:
        if job is None:
            return RedriveOutcome.GONE
        if job.status.terminal or job.lease is not None:
            return RedriveOutcome.HEARD
        await self._queue.send(job.id, tenant=job.tenant)
        with suppress(Conflict, JobNotFound):  # claimed, ended or deleted meanwhile: it was heard
            await self._jobs.update(job, jobs.ring)
        return RedriveOutcome.RUNG

    async def _job(self, body: str) -> Job | None:
        """The job that a doorbell rings for, if it is one."""
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
            return None  # expired since; the index lags


def _logged(letter: Letter, origin: Origin, outcome: RedriveOutcome) -> RedriveOutcome:
    log.warning("dead_letter", letter=letter.id, origin=origin, outcome=outcome)
    return outcome


def rung_job(body: str) -> JobId | None:
    """The job that a doorbell names; None: the body is no doorbell."""
    try:
        doorbell = json.loads(body)
    except (ValueError, RecursionError):
        return None
    job_id = doorbell.get("job_id") if isinstance(doorbell, dict) else None
    return JobId(job_id) if isinstance(job_id, str) and 0 < len(job_id) <= 100 else None
