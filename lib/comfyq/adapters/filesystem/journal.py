from collections.abc import Sequence
from pathlib import Path

from comfyq.domain.job import JobId


class FileJournal:
    """The claimed jobs, one id a line, in a file that one process has to itself.

    A worker holds two or three jobs, so the file is written anew each time, which takes less time
    than the way to a thread and back. It outlives the process, but is not synced: a power cut ends
    ComfyUI as well, and then leases lapse.
    """

    def __init__(self, *, path: Path) -> None:
        self._path = path

    async def note(self, job_id: JobId) -> None:
        self._change({job_id}, set())

    async def forget(self, job_id: JobId) -> None:
        self._change(set(), {job_id})

    async def noted(self) -> Sequence[JobId]:
        return self._read()

    def _change(self, added: set[JobId], removed: set[JobId]) -> None:
        before = self._read()
        after = [job_id for job_id in before if job_id not in added | removed] + sorted(added)
        if set(after) != set(before):
            self._write("".join(f"{job_id}\n" for job_id in after))

    def _write(self, body: str) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            fresh.write_text(body)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(body)
        fresh.replace(self._path)

    def _read(self) -> list[JobId]:
        try:
            return [JobId(line) for line in self._path.read_text().splitlines()]
        except FileNotFoundError:
            return []
