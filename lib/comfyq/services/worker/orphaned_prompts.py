"""Taking out of ComfyUI what a former process of the worker left there for nobody."""

import asyncio

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError, JobNotFound
from comfyq.domain.job import MAX_CLAIMS, JobId, Limits
from comfyq.records.jobs import JobRecords
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.prompt_stopper import PromptStopper
from comfyq.services.worker.prompts import prompts_of

PERIOD_S = 5.0


class OrphanedPrompts:
    """Deletes prompts by id, and only those of jobs that have ended: another worker that shares
    this ComfyUI may have adopted the prompt of a job that goes on."""

    def __init__(self, *, records: JobRecords, claims: Claims, stopper: PromptStopper) -> None:
        self._records = records
        self._claims = claims
        self._stopper = stopper

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            try:
                await self.sweep()
            except (DomainError, OSError) as away:
                log.warning("sweep_failed", reason=str(away))
            await asyncio.sleep(PERIOD_S)

    async def sweep(self) -> None:
        for job_id in await self._claims.strays():
            attempts = await self._attempts_of_ended(job_id)
            prompts = prompts_of(job_id, attempts=attempts)
            if prompts and await self._stopper.stop(prompts, patience_s=Limits().stall_s):
                log.info("strays_swept", job=job_id)
                await self._claims.forget(job_id)

    async def _attempts_of_ended(self, job_id: JobId) -> int:
        """Return how many prompts an ended job may have left in ComfyUI; none while it goes on."""
        try:
            job = await self._records.get(job_id)
        except JobNotFound:
            return MAX_CLAIMS
        return max(1, job.attempt) if job.status.terminal else 0
