"""Deletion of ended jobs with their files."""

from comfyq.aio.tasks import limited
from comfyq.domain.job import Job
from comfyq.ports.assets import Assets
from comfyq.records.jobs import JobRecords

DELETED_AT_ONCE = 32  # files of a job


class JobDeletion:
    """Delete ended jobs, the files first: a deletion that was cut off can be repeated."""

    def __init__(self, *, records: JobRecords, assets: Assets) -> None:
        self._records = records
        self._assets = assets

    async def delete(self, job: Job) -> None:
        """Delete a job and the files that are its own; reused ones belong to the earlier job."""
        if job.reused_from is None:
            outputs = await self._records.outputs(job.id)
            keys = [output.key for output in outputs if output.key]
            await limited(DELETED_AT_ONCE, keys, self._assets.delete)
        await self._records.remove(job)
