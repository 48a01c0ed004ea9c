"""Outputs by day and job: ``2026-11-26/14.25.30 sd15 a-red-fox 3f0f1234-8c1e/00 a_00001_.png``.

The files are hard links to the stored ones, which take no room, or symbolic links where the folder
is on another disk.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from comfyq.aio.threads import in_thread
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job

NO_WORDS = re.compile(r"[\W_]+")
WORDS_CHARS = 40  # of the prompt
ID_CHARS = 13  # of the job's id, which are 12 random digits of hexadecimal
NAME_BYTES = 200  # of a file's own name; file systems take 255 with the index before it
OURS = re.compile(r"\d{2,} ")  # begins each file that is made here


class LinkedOutputFolders:
    """Implements ports.output_folders.OutputFolders; ``stored`` returns where a key's file is."""

    def __init__(self, folder: Path, *, stored: Callable[[str], Path]) -> None:
        self._folder = folder
        self._stored = stored

    async def add(self, job: Job, outputs: Sequence[Output], *, prompt: str) -> None:
        await in_thread(self._add, job, outputs, prompt)

    async def remove(self, job: Job) -> None:
        await in_thread(self._remove, job)

    def find(self, job_id: str, created_at: datetime, index: int) -> Path | None:
        """Return the link to an output of a job, if there is one."""
        for folder in self._folders_of(job_id, created_at):
            for file in folder.glob(f"{index:02} *"):
                return file
        return None

    def _add(self, job: Job, outputs: Sequence[Output], prompt: str) -> None:
        folder = next(self._folders_of(job.id, job.created_at), None)
        if folder is None:
            local = job.created_at.astimezone()
            words = NO_WORDS.sub("-", prompt.lower()).strip("-")[:WORDS_CHARS].rstrip("-")
            parts = (f"{local:%H.%M.%S}", job.workflow, words, job.id[:ID_CHARS])
            folder = self._folder / f"{local:%Y-%m-%d}" / _file_name(" ".join(filter(None, parts)))
            folder.mkdir(parents=True, exist_ok=True)
        for index, output in enumerate(outputs):
            if output.key:  # a text that is in the table has no file
                name = _last_bytes(_file_name(output.filename))
                _link(self._stored(output.key).absolute(), folder / f"{index:02} {name}")

    def _remove(self, job: Job) -> None:
        for folder in list(self._folders_of(job.id, job.created_at)):
            for file in folder.iterdir():
                if OURS.match(file.name):
                    file.unlink(missing_ok=True)
            with suppress(OSError):  # somebody else's files are in it
                folder.rmdir()
                folder.parent.rmdir()

    def _folders_of(self, job_id: str, created_at: datetime) -> Iterator[Path]:
        """Yield the job's folder, also where this machine has moved to another time zone."""
        for days in (0, -1, 1):
            day = self._folder / f"{created_at.astimezone() + timedelta(days=days):%Y-%m-%d}"
            with suppress(FileNotFoundError):
                yield from (each for each in day.iterdir() if _is_of(each, job_id))


def _is_of(folder: Path, job_id: str) -> bool:
    return folder.name.rpartition(" ")[2] == job_id[:ID_CHARS]


def _file_name(text: str) -> str:
    return text.replace("/", "_").replace("\0", "_")


def _last_bytes(name: str) -> str:
    """Return the end of a name, with its suffix, that fits into NAME_BYTES."""
    return name.encode(errors="replace")[-NAME_BYTES:].decode(errors="ignore")


def _link(stored: Path, link: Path) -> None:
    with suppress(FileExistsError):
        try:
            os.link(stored, link)
        except FileNotFoundError:
            return  # it has been deleted meanwhile
        except FileExistsError:
            raise
        except OSError:  # another disk, or one without hard links
            link.symlink_to(stored)
