"""Deletion of ended jobs with their files."""

from comfyq.aio.tasks import limited
from comfyq.domain.job import Job
from comfyq.ports.assets import Assets
from comfyq.records.jobs import JobRecords
from comfyq.services.files.output_links import OutputLinks

DELETED_AT_ONCE = 32  # files of a job


class JobDeletion:
    """Delete ended jobs, the files first: a deletion that was cut off can be repeated."""

    def __init__(
        self, *, records: JobRecords, assets: Assets, links: OutputLinks | None = None
    ) -> None:
        self._records = records
        self._assets = assets
        self._links = links

    async def delete(self, job: Job) -> None:
        """Delete a job and the files that are its own; reused ones belong to the earlier job."""
        if job.reused_from is None:
            outputs = await self._records.outputs(job.id)
            keys = [output.key for output in outputs if output.key]
            await limited(DELETED_AT_ONCE, keys, self._assets.delete)
        if self._links is not None:
            await self._links.remove(job)
        await self._records.remove(job)
