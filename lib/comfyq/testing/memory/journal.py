from collections.abc import Sequence

from anyio.lowlevel import checkpoint

from comfyq.domain.job import JobId


class MemoryJournal:
    def __init__(self) -> None:
        self._jobs: dict[JobId, None] = {}

    async def note(self, job_id: JobId) -> None:
        await checkpoint()
        self._jobs[job_id] = None

    async def forget(self, job_id: JobId) -> None:
        await checkpoint()
        self._jobs.pop(job_id, None)

    async def noted(self) -> Sequence[JobId]:
        await checkpoint()
        return list(self._jobs)
