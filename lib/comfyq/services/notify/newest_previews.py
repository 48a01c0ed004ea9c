"""The newest previews of jobs, for clients that ask for them and cannot be told.

They are kept in memory, of jobs that a request of this process waits for: another process has none.
"""

from comfyq.domain.job import JobId

MOST = 100  # jobs, those that had a preview last


class NewestPreviews:
    def __init__(self) -> None:
        self._pictures: dict[JobId, str] = {}

    def keep(self, job_id: JobId, picture: str) -> None:
        """Keep a picture, as base64, in the place of the job's last one."""
        self._pictures.pop(job_id, None)
        self._pictures[job_id] = picture
        if len(self._pictures) > MOST:
            self._pictures.pop(next(iter(self._pictures)))

    def of(self, job_id: JobId) -> str | None:
        return self._pictures.get(job_id)
