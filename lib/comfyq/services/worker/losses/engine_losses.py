"""Counting the losses of ComfyUI that a job may have caused.

A ComfyUI that stops answering in mid-run may have ended by the job's own doing, or it may only be
out of reach; so its job is given back uncounted. Once ComfyUI answers again, the prompt shows which
it was: the queue or the history of a process that lived on has it, those of a new process do not.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, IllegalTransition, JobNotFound
from comfyq.domain.job import JobId
from comfyq.domain.job.attempt import FAILED, RELEASED, Attempt
from comfyq.ports.engine import Engine, EngineLeft, PromptId, PromptState
from comfyq.records.jobs import JobRecords
from comfyq.services.notify.announcer import Announcer
from comfyq.services.worker.failure_policy import engine_lost
from comfyq.services.worker.held_job import HeldJob


@dataclass(frozen=True, slots=True)
class Suspect:
    """An attempt in which ComfyUI stopped answering."""

    job_id: JobId
    attempt: int
    prompt: PromptId  # its own, or one of an earlier attempt that it had adopted
    reason: str


class EngineLosses:
    """Remember the attempts that one ComfyUI left, until it answers again."""

    def __init__(self, *, engine: Engine, records: JobRecords, announcer: Announcer) -> None:
        self._engine = engine
        self._records = records
        self._announcer = announcer
        self._suspects: list[Suspect] = []

    def suspect(self, held: HeldJob, left: EngineLeft) -> None:
        self._suspects.append(Suspect(held.id, held.token, left.prompt, str(left)))

    async def settle(self) -> None:
        """Count the attempts whose prompts ComfyUI has lost, and drop the others.

        Those that the table does not take are left for the next call.

        Raises:
            EngineError: ComfyUI does not answer.
        """
        for suspect in list(self._suspects):
            if await self._engine.find(suspect.prompt) is PromptState.ABSENT:
                try:
                    await self._count(suspect)
                except (JobNotFound, IllegalTransition):
                    pass  # it was deleted, or has ended elsewhere
                except DomainError as refused:
                    log.warning("engine_loss_uncounted", job=suspect.job_id, reason=str(refused))
                    continue
            self._suspects.remove(suspect)

    async def _count(self, suspect: Suspect) -> None:
        attempt = _of(suspect, await self._records.attempts(suspect.job_id))
        if attempt is None or attempt.verdict != RELEASED:
            return  # counted before, by a write whose answer was lost
        reason = engine_lost(suspect.reason)
        job = await self._records.update(
            await self._records.get(suspect.job_id),
            partial(jobs.count_loss, reason=reason),
            amended=replace(attempt, verdict=FAILED, reason=reason),
        )
        log.warning("engine_lost", job=job.id, attempt=suspect.attempt, reason=suspect.reason)
        if job.status.terminal:
            with suppress(DomainError):  # the reaper announces it later
                await self._announcer.announce_end(job)


def _of(suspect: Suspect, attempts: Sequence[Attempt]) -> Attempt | None:
    return next((each for each in attempts if each.number == suspect.attempt), None)
