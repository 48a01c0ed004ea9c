import os
from collections.abc import Sequence
from errno import ENOSPC
from pathlib import Path

from comfyq.domain.job import JobId

SHORTEN_BYTES = 64 * 1024


class FileJournal:
    """The claimed jobs in a file that one process has to itself: a line ``+id`` when a job is
    noted, ``-id`` when it is forgotten. Each line begins with its newline, so that a line cut off
    by a full disk does not damage the next.

    Lines are appended on the event loop, which takes less time than a hop to a thread. The file is
    not synced: a power cut ends ComfyUI too, and then leases lapse.
    """

    def __init__(self, *, path: Path) -> None:
        self._path = path
        self._name = str(path)  # which costs no calls each time

    async def note(self, job_id: JobId) -> None:
        self._append(f"\n+{job_id}")

    async def forget(self, job_id: JobId) -> None:
        self._append(f"\n-{job_id}")

    async def noted(self) -> Sequence[JobId]:
        return self._read()

    def _append(self, line: str) -> None:
        descriptor = self._open()
        try:
            if os.write(descriptor, line.encode()) < len(line):
                raise OSError(ENOSPC, os.strerror(ENOSPC), str(self._path))
            is_long = os.fstat(descriptor).st_size > SHORTEN_BYTES
        finally:
            os.close(descriptor)
        if is_long:
            self._shorten()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._name, flags, 0o644)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._name, flags, 0o644)

    def _shorten(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.write_text("".join(f"\n+{job_id}" for job_id in self._read()))
        fresh.replace(self._path)

    def _read(self) -> list[JobId]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        noted: dict[str, None] = {}  # in the order of noting
        for line in lines:
            noted.pop(line[1:], None)
            if line.startswith("+"):
                noted[line[1:]] = None
        return [JobId(job_id) for job_id in noted]
