"""Storing kept outputs once asset storage answers again; see ``services.worker.output_files``."""

import asyncio
import random

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, IllegalTransition, JobNotFound
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.ports.assets import Assets
from comfyq.ports.clock import Clock
from comfyq.ports.spool import Parcel, Spool
from comfyq.records.jobs import JobRecords
from comfyq.services.worker.timing import Timing


class OutputRetry:
    """Store the parcels on one worker's disk and add their outputs to their jobs."""

    def __init__(
        self, *, records: JobRecords, assets: Assets, spool: Spool, clock: Clock, timing: Timing
    ) -> None:
        self._records = records
        self._clock = clock
        self._assets = assets
        self._spool = spool
        self._timing = timing

    async def run(self) -> None:
        """Try to store all parcels every ``resend_s``, until canceled."""
        while True:
            await asyncio.sleep(random.uniform(0.8, 1.2) * self._timing.resend_s)
            try:
                await self.send()
            except (DomainError, OSError) as away:
                log.warning("resend_failed", reason=str(away))

    async def send(self) -> None:
        """Store every parcel whose job still lacks its outputs, oldest first; drop the others.

        Raises:
            AssetsUnavailable, TableUnavailable: the remaining parcels are left for the next call.
        """
        for parcel in await self._spool.kept():
            try:
                job = await self._records.get(parcel.job_id)
                if job.status.terminal or job.attempt != parcel.attempt:
                    now = self._clock.now()
                    await self._deliver(parcel, jobs.recover(job, token=parcel.attempt, now=now))
            except (JobNotFound, IllegalTransition):
                await self._give_up(parcel)

    async def _deliver(self, parcel: Parcel, recovered: Job) -> None:
        for output, spooled in parcel.contents:
            if spooled is not None:
                content_type = output.content_type
                await self._assets.put(output.key, spooled.path, content_type=content_type)
        # Refused if the job was changed or deleted meanwhile: the next pass decides again.
        await self._records.save(recovered, outputs=_outputs(parcel))
        await self._spool.drop(parcel)
        log.info("results_sent", job=parcel.job_id)

    async def _give_up(self, parcel: Parcel) -> None:
        """Delete a parcel whose job has another result, or was deleted."""
        for output in _outputs(parcel):
            if output.key:
                await self._assets.delete(output.key)
        await self._spool.drop(parcel)
        log.info("results_dropped", job=parcel.job_id)


def _outputs(parcel: Parcel) -> list[Output]:
    return [output for output, _ in parcel.contents]
