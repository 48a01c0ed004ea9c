from collections.abc import Sequence
from typing import Protocol

from comfyq.domain.job import JobId


class Journal(Protocol):
    """The jobs that a worker has claimed, kept where the worker's next process finds them.

    A job is noted before it is claimed, so after a crash the journal may name too many, never too
    few.
    """

    async def note(self, job_id: JobId) -> None: ...

    async def forget(self, job_id: JobId) -> None: ...

    async def noted(self) -> Sequence[JobId]: ...
