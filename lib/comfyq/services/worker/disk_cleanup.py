"""Deletion of jobs' files from ComfyUI's folders, where those are on the worker's machine.

Files of others are never deleted:
- output folder: only files under the job's own prefix are deleted.
- temp folder: ComfyUI chooses the names, and a cached run of another job may name the same file
  again. So the newest KEPT files stay; a job whose file is gone all the same is rendered again.
- input folder: files are named by their content's hash and may serve several jobs, in a subfolder
  that only this process uses. The last attempt that uses one deletes it.
"""

from asyncio import to_thread
from collections.abc import Sequence

from comfyq.domain.files.job_paths import FOLDER, WARM_FOLDER, normal_path
from comfyq.domain.job import Job, JobId
from comfyq.ports.engine import Rendered
from comfyq.ports.folders import Folders

KEPT = 100

File = tuple[str, str]  # folder, and name with subfolder


class DiskCleanup:
    """``inputs`` is the subfolder of ComfyUI's input folder that only this process uses."""

    def __init__(self, *, folders: Folders, inputs: str, kept: int = KEPT) -> None:
        self.inputs = inputs
        self._folders = folders
        self._kept = kept
        self._users: dict[str, set[tuple[JobId, int]]] = {}  # input name -> attempts that use it
        self._shared: dict[File, None] = {}  # temp files, the most recently named one last

    def uses(self, job: Job, name: str) -> None:
        """Note that a job's attempt uses an input; call this before the upload."""
        self._users.setdefault(name, set()).add((job.id, job.attempt))

    async def outputs(self, job: Job, files: Sequence[Rendered]) -> None:
        """Delete a job's rendered files, whose outputs are all stored."""
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

    async def warm_outputs(self, files: Sequence[Rendered]) -> None:
        """Delete the files of a warm run: those in its own folder, and pictures that it showed."""
        for file in files:
            path = _path(file)
            is_own = file.folder == "output" and normal_path(path).startswith(f"{WARM_FOLDER}/")
            if file.text is None and (is_own or file.folder == "temp"):
                await to_thread(self._folders.remove, file.folder, path)

    def ended(self, job_id: JobId, attempt: int) -> None:
        """Delete the inputs that only this attempt used; call it once its prompt is out of ComfyUI.

        It is not a coroutine, so that no upload can happen between the check and the removal.
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
    return normal_path(path).startswith(f"{FOLDER}/{job.id}/")
