from collections.abc import Sequence
from typing import Protocol

from comfyq.domain.files.output import Output
from comfyq.domain.job import Job


class OutputFolders(Protocol):
    """Folders in which a person finds what jobs have made, by day and job."""

    async def add(self, job: Job, outputs: Sequence[Output], *, prompt: str) -> None:
        """Add the files of a job; adding them again changes nothing. Raises OSError."""
        ...

    async def remove(self, job: Job) -> None:
        """Remove what ``add`` has added, if it did. Raises OSError."""
        ...
