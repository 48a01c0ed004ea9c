"""Requests that were sent straight to a queue: a letter becomes a job under its first id.

What the queue took is accepted: a request that cannot be run becomes a failed job that says why,
and its letter stays readable and can be sent again.
"""

from collections.abc import Callable

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller, Scope
from comfyq.domain.dead_letter import DeadLetter, Origin, RedriveOutcome
from comfyq.domain.errors import (
    DomainError,
    InvalidRequest,
    JobNotFound,
    StaleJob,
    TooContended,
    Unavailable,
)
from comfyq.domain.job import Job, JobError, JobId, JobStatus
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.spec import Spec
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Letter
from comfyq.records.dead_letters import DeadLetterRecords
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.submission import Submission

KEY_ATTRIBUTE = "idempotency_key"
MAX_KEY_CHARS = 255
MAX_REASON_CHARS = 4_000
UNKNOWN_WORKFLOW = "unknown"  # of a letter that names none


Read = Callable[[str], Request]
"""A letter's body -> its request; raises InvalidRequest."""


class Intake:
    """Takes requests for the caller that the queue stands for, whatever a letter says."""

    def __init__(
        self,
        *,
        read: Read,
        submission: Submission,
        jobs: JobRecords,
        dead_letters: DeadLetterRecords,
        clock: Clock,
    ) -> None:
        self._read = read
        self._submission = submission
        self._jobs = jobs
        self._dead_letters = dead_letters
        self._clock = clock

    async def take(self, caller: Caller, letter: Letter) -> RedriveOutcome:
        """Make a letter a job; taking it again is harmless.

        Raises:
            Unavailable, TooContended: the letter must come again.
        """
        return await self._take(caller, letter, instead_of=None)

    async def bury(self, caller: Caller, letter: Letter) -> RedriveOutcome:
        """Take a letter that its queue has given up on, for the last time.

        Whatever is wrong with it, a defect of ours included, it ends as a job that says so.

        Raises:
            Unavailable, TooContended: the letter must come again.
        """
        await self._keep(caller, letter, "was received too often without becoming a job")
        try:
            return await self.take(caller, letter)
        except (Unavailable, TooContended):
            raise
        except Exception as defect:
            log.exception("submission_failed", letter=letter.id)
            error = JobError("internal-error", f"the server made a mistake: {defect!r}")
            return await self._refuse(
                caller, letter, error, workflow=UNKNOWN_WORKFLOW, instead_of=None
            )

    async def redrive(self, letter: DeadLetter) -> RedriveOutcome:
        """Take a buried letter again; the job that was refused under its id is replaced.

        Who may redrive answers for it: whether its tenant's queue may submit is not asked again.
        """
        again = Letter(letter.id, letter.body, letter.attributes)
        sender = Caller(letter.tenant, frozenset({Scope.SUBMIT}))
        refused = await self._refused(sender, JobId(letter.id))
        return await self._take(sender, again, instead_of=refused)

    async def _take(
        self, caller: Caller, letter: Letter, *, instead_of: Job | None
    ) -> RedriveOutcome:
        workflow = UNKNOWN_WORKFLOW
        try:
            caller.require(Scope.SUBMIT)
            request = self._read(letter.body)
            workflow = request.workflow
            accepted = await self._submission.submit(
                caller,
                request,
                idempotency_key=_key_of(letter),
                job_id=JobId(letter.id),
                instead_of=instead_of,
            )
        except StaleJob:
            return RedriveOutcome.HEARD  # it came twice
        except (Unavailable, TooContended):
            raise
        except DomainError as wrong:
            error = JobError(wrong.code, str(wrong)[:MAX_REASON_CHARS])
            return await self._refuse(
                caller, letter, error, workflow=workflow, instead_of=instead_of
            )
        if accepted.job.id != letter.id:  # a sender's retry: its first letter is the job
            await self._jobs.add_name(JobId(letter.id), accepted.job)
        return RedriveOutcome.ACCEPTED

    async def _refuse(
        self,
        caller: Caller,
        letter: Letter,
        error: JobError,
        *,
        workflow: str,
        instead_of: Job | None,
    ) -> RedriveOutcome:
        # The letter first: when it comes again after a crash in between, the job is made.
        await self._keep(caller, letter, error.message)
        now = self._clock.now()
        asked = jobs.submitted(
            id=JobId(letter.id), tenant=caller.tenant, workflow=workflow, created_at=now
        )
        refused = jobs.refuse(asked, now=now, error=error)
        try:
            await self._jobs.create(refused, Spec(graph={}, parameters={}), instead_of=instead_of)
        except StaleJob:
            return RedriveOutcome.HEARD
        return RedriveOutcome.REFUSED

    async def _keep(self, caller: Caller, letter: Letter, reason: str) -> None:
        await self._dead_letters.add(
            DeadLetter(
                id=letter.id,
                origin=Origin.SUBMISSIONS,
                tenant=caller.tenant,
                body=letter.body,
                attributes=letter.attributes,
                reason=reason,
                buried_at=self._clock.now(),
            )
        )

    async def _refused(self, caller: Caller, job_id: JobId) -> Job | None:
        """The job that was refused under this id; None: there is none, or it is a real one."""
        try:
            job = await self._jobs.get(job_id)
        except JobNotFound:
            return None
        was_refused = job.status is JobStatus.FAILED and job.attempt == 0
        return job if was_refused and job.tenant == caller.tenant else None


def _key_of(letter: Letter) -> str | None:
    key = letter.attributes.get(KEY_ATTRIBUTE)
    if key is not None and not (0 < len(key) <= MAX_KEY_CHARS and key.isprintable()):
        raise InvalidRequest(
            f"{KEY_ATTRIBUTE}: has 1 to {MAX_KEY_CHARS} printable characters, or is left out"
        )
    return key
