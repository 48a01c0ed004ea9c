"""Taking away from ComfyUI's disk what a job has left there, where the worker can reach it.

Nothing of anybody else is touched. Of the output folder that is what lies under the job's own
prefix. Names in the temp folder are ComfyUI's: a cached run names the same file again, also for
another job, so the newest KEPT of them stay; what is gone nevertheless is rendered again. Inputs
are called by what is in them and may serve several jobs, but lie in a folder of this process
alone; the last job that uses one takes it away.
"""

from asyncio import to_thread
from collections.abc import Sequence

from comfyq.domain.job import Job, JobId
from comfyq.ports.engine import Rendered
from comfyq.ports.folders import Folders
from comfyq.services.worker.prompts import PREFIX

KEPT = 100

File = tuple[str, str]  # folder, and name with subfolder


class DiskCleanup:
    """``inputs`` is the subfolder of ComfyUI's input folder that nobody else uses."""

    def __init__(self, *, folders: Folders, inputs: str, kept: int = KEPT) -> None:
        self.inputs = inputs
        self._folders = folders
        self._kept = kept
        self._users: dict[str, set[tuple[JobId, int]]] = {}  # the attempts, of each input
        self._shared: dict[File, None] = {}  # in temp, the one that was named last at the end

    def uses(self, job: Job, name: str) -> None:
        """An attempt is about to have an input uploaded."""
        self._users.setdefault(name, set()).add((job.id, job.attempt))

    async def outputs(self, job: Job, files: Sequence[Rendered]) -> None:
        """Everything that a job rendered is stored."""
        named = [(file.folder, _path(file)) for file in files if file.text is None]
        own = [file for file in named if file[0] == "output" and _is_of(job, file[1])]
        for file in named:
            if file[0] == "temp":
                self._shared.pop(file, None)
                self._shared[file] = None
        while len(self._shared) > self._kept:
            own.append(oldest := next(iter(self._shared)))
            del self._shared[oldest]
        for folder, name in own:
            await to_thread(self._folders.remove, folder, name)

    def ended(self, job_id: JobId, attempt: int) -> None:
        """The prompt of an attempt is out of ComfyUI, and nobody will go on with it.

        It does not wait, so that no upload comes between the last look and the removal.
        """
        user = (job_id, attempt)
        for name in [name for name, users in self._users.items() if user in users]:
            self._users[name].discard(user)
            if not self._users[name]:
                del self._users[name]
                self._folders.remove("input", f"{self.inputs}/{name}")


def _path(file: Rendered) -> str:
    return f"{file.subfolder}/{file.filename}".replace("\\", "/").lstrip("/")


def _is_of(job: Job, path: str) -> bool:
    return path.startswith(f"{PREFIX}/{job.id}/")
