"""Removal of prompts that a former process of the worker left in ComfyUI."""

from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.domain.errors import DomainError, JobNotFound
from comfyq.domain.job import MAX_CLAIMS, JobId, Limits
from comfyq.records.jobs import JobRecords
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.prompt_stopper import PromptStopper
from comfyq.services.worker.prompts import prompts_of

PERIOD_S = 5.0


class OrphanedPrompts:
    """Delete orphaned prompts by id, and only those of jobs that have ended: another worker that
    shares this ComfyUI may have adopted the prompt of a job that still runs."""

    def __init__(self, *, records: JobRecords, claims: Claims, stopper: PromptStopper) -> None:
        self._records = records
        self._claims = claims
        self._stopper = stopper

    async def run(self) -> None:
        """Remove orphaned prompts every PERIOD_S, until canceled."""
        while True:
            try:
                await self.remove()
            except (DomainError, OSError) as away:
                log.warning("orphaned_prompts_failed", reason=str(away))
            await beat(PERIOD_S)

    async def remove(self) -> None:
        """Remove the orphaned prompts of ended jobs once; jobs that still run are left noted."""
        for job_id in await self._claims.orphaned():
            attempts = await self._attempts_of_ended(job_id)
            prompts = prompts_of(job_id, attempts=attempts)
            if prompts and await self._stopper.stop(prompts, patience_s=Limits().stall_s):
                log.info("orphaned_prompts_removed", job=job_id)
                await self._claims.forget(job_id)

    async def _attempts_of_ended(self, job_id: JobId) -> int:
        """Return how many prompts an ended job may have left in ComfyUI; 0 if it has not ended."""
        try:
            job = await self._records.get(job_id)
        except JobNotFound:
            return MAX_CLAIMS
        return max(1, job.attempt) if job.status.terminal else 0
