"""Links to the outputs of ended jobs, in folders for the owner of the machine."""

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job, JobStatus
from comfyq.ports.output_folders import OutputFolders
from comfyq.records.jobs import JobRecords


class OutputLinks:
    """Keep the folders in step with jobs. A folder that fails fails no job: it is logged."""

    def __init__(self, *, records: JobRecords, folders: OutputFolders) -> None:
        self._records = records
        self._folders = folders

    async def add(self, job: Job) -> None:
        """Link the outputs of a job that has succeeded."""
        if job.status is not JobStatus.SUCCEEDED:
            return
        try:
            prompt = (await self._records.spec(job.id)).parameters.get("prompt")
            outputs = await self._records.outputs(job.id)
            text = prompt if isinstance(prompt, str) else ""
            await self._folders.add(job, outputs, prompt=text)
        except (DomainError, OSError) as error:
            log.warning("outputs_unlinked", job=job.id, reason=str(error))

    async def remove(self, job: Job) -> None:
        """Remove a job's links."""
        try:
            await self._folders.remove(job)
        except OSError as error:
            log.warning("outputs_linked", job=job.id, reason=str(error))
