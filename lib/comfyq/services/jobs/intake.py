"""Intake of requests that were sent straight to a queue: the id of a job, or of a batch of them, is
its message's first id.

Nobody waits for an answer, so a request that cannot be run becomes a failed job that says why, and
its message is kept as a dead letter, which can be read and sent again.
"""

from collections.abc import Awaitable, Callable

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.caller import SUBMITTING, Caller, Scope
from comfyq.domain.dead_letter import DeadLetter, Origin, RedriveOutcome
from comfyq.domain.errors import (
    DataBeingDeleted,
    DomainError,
    InvalidRequest,
    JobNotFound,
    StaleJob,
    TooContended,
    Unavailable,
)
from comfyq.domain.job import Job, JobError, JobId, JobStatus
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.spec import Spec
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Message
from comfyq.records.dead_letters import DeadLetterRecords
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.batch_submission import AskedBatch, BatchSubmission
from comfyq.services.jobs.submission import Submission
from comfyq.services.jobs.webhook_choice import NOBODY, ChosenWebhook, WebhookChoice
from comfyq.telemetry.tracing import tracing

KEY_ATTRIBUTE = "idempotency_key"
MAX_KEY_CHARS = 255
MAX_REASON_CHARS = 4_000
UNREAD = Request(workflow="unknown")  # stands for one that could not be parsed

LATER = (Unavailable, TooContended, DataBeingDeleted)  # the message may become a job later

Read = Callable[[str], Awaitable[Request | AskedBatch]]
"""Parse a message's body; raises InvalidRequest."""


class Intake:
    """Submit messages as the caller that their queue stands for, whatever a message says."""

    def __init__(
        self,
        *,
        read: Read,
        submission: Submission,
        batch_submission: BatchSubmission,
        jobs: JobRecords,
        dead_letters: DeadLetterRecords,
        webhooks: WebhookChoice,
        clock: Clock,
    ) -> None:
        self._read = read
        self._submission = submission
        self._batch_submission = batch_submission
        self._jobs = jobs
        self._dead_letters = dead_letters
        self._webhooks = webhooks
        self._clock = clock

    async def take(self, caller: Caller, message: Message) -> RedriveOutcome:
        """Make a job of a message; repeating it is harmless.

        Raises:
            Unavailable, TooContended, DataBeingDeleted: leave the message in its queue, to be
                delivered again.
        """
        with tracing.span("intake", parent=message.attributes.get("traceparent")):
            return await self._take(caller, message, instead_of=None)

    async def take_dead(self, caller: Caller, message: Message) -> RedriveOutcome:
        """Make a job of a message that its queue has given up on.

        If that fails, even by a defect of the server, a failed job says why.

        Raises:
            Unavailable, TooContended, DataBeingDeleted: leave the message in its queue, to be
                delivered again.
        """
        await self._keep(caller, message, "was received too often without becoming a job")
        try:
            return await self.take(caller, message)
        except LATER:
            raise
        except Exception:
            log.exception("submission_failed", message=message.id)
            error = JobError("internal-error", "a defect of the server; see its log")
            return await self._refuse(caller, message, error, UNREAD, instead_of=None)

    async def redrive(self, message: DeadLetter) -> RedriveOutcome:
        """Submit a dead letter again, replacing the job that was refused under its id.

        The administrator who redrives authorizes it; the queue's own right is not checked again.
        """
        again = Message(message.id, message.body, message.attributes)
        sender = Caller(message.tenant, SUBMITTING)
        refused = await self._refused(sender, JobId(message.id))
        return await self._take(sender, again, instead_of=refused)

    async def _take(
        self, caller: Caller, message: Message, *, instead_of: Job | None
    ) -> RedriveOutcome:
        request = UNREAD
        try:
            caller.require(Scope.SUBMIT)
            asked = await self._read(message.body)
            if isinstance(asked, AskedBatch):
                await self._take_batch(caller, message, asked)
                return RedriveOutcome.ACCEPTED
            request = asked
            accepted = await self._submission.submit(
                caller,
                request,
                idempotency_key=_key_of(message),
                job_id=JobId(message.id),
                instead_of=instead_of,
            )
        except (StaleJob, JobNotFound):
            return RedriveOutcome.HEARD  # it was delivered twice, or a client has deleted its job
        except LATER:
            raise
        except DomainError as wrong:
            error = JobError(wrong.code, str(wrong)[:MAX_REASON_CHARS])
            return await self._refuse(caller, message, error, request, instead_of=instead_of)
        if accepted.job.id != message.id:  # a sender's retry: the job has the first message's id
            await self._jobs.add_name(JobId(message.id), accepted.job)
        return RedriveOutcome.ACCEPTED

    async def _take_batch(self, caller: Caller, message: Message, batch: AskedBatch) -> None:
        """Make the batch of a message. The key makes it the same batch whenever the message comes
        again, and completes what was not stored before."""
        accepted = await self._batch_submission.submit(
            caller,
            batch.asked,
            digest=batch.digest,
            idempotency_key=_key_of(message) or f"message {message.id}",
            batch_id=BatchId(message.id),
        )
        await self._batch_submission.note(accepted)

    async def _refuse(
        self,
        caller: Caller,
        message: Message,
        error: JobError,
        request: Request,
        *,
        instead_of: Job | None,
    ) -> RedriveOutcome:
        # Store the dead letter first: after a crash in between, the message is delivered again
        # and the job is stored then.
        await self._keep(caller, message, error.message)
        now = self._clock.now()
        webhook = await self._told(caller, request)
        asked = jobs.submitted(
            id=JobId(message.id),
            tenant=caller.tenant,
            workflow=request.workflow.removesuffix(".json"),
            created_at=now,
            webhook_events=webhook.events,
        )
        refused = jobs.refuse(asked, now=now, error=error)
        try:
            spec = Spec(graph={}, parameters={}, webhook=webhook.target)
            await self._jobs.create(refused, spec, instead_of=instead_of)
        except StaleJob:
            return RedriveOutcome.HEARD
        return RedriveOutcome.REFUSED

    async def _told(self, caller: Caller, request: Request) -> ChosenWebhook:
        """Return who is told that a request was refused."""
        try:
            return await self._webhooks.of(caller, request)
        except InvalidRequest:
            return NOBODY

    async def _keep(self, caller: Caller, message: Message, reason: str) -> None:
        await self._dead_letters.add(
            DeadLetter(
                id=message.id,
                origin=Origin.SUBMISSIONS,
                tenant=caller.tenant,
                body=message.body,
                attributes=message.attributes,
                reason=reason,
                buried_at=self._clock.now(),
            )
        )

    async def _refused(self, caller: Caller, job_id: JobId) -> Job | None:
        """Return the job that was refused under this id; None if there is none, or if the job of
        this id was accepted."""
        try:
            job = await self._jobs.get(job_id)
        except JobNotFound:
            return None
        was_refused = job.status is JobStatus.FAILED and job.attempt == 0
        return job if was_refused and job.tenant == caller.tenant else None


def _key_of(message: Message) -> str | None:
    key = message.attributes.get(KEY_ATTRIBUTE)
    if key is not None and not (0 < len(key) <= MAX_KEY_CHARS and key.isprintable()):
        raise InvalidRequest(
            f"{KEY_ATTRIBUTE}: must have 1 to {MAX_KEY_CHARS} printable characters; "
            "correct it or leave it out"
        )
    return key
