"""The calls of the API that the tools make. Answers are its own JSON objects, as they came."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

Json = Mapping[str, Any]


class ApiError(Exception):
    """The server refused a call, or was not reached; the message is for whoever called the tool."""


class Away(ApiError):
    """Nobody answers, or not as comfyq would, or the server cannot do it now."""


class NotFound(ApiError):
    """There is no such thing."""


class Api(Protocol):
    """One server, as one caller. Every call raises ApiError."""

    async def workflows(self) -> Sequence[Json]:
        """Return the workflows that there are, broken ones among them."""
        ...

    async def workflow(self, name: str) -> Json:
        """Return all that is to be known for using a workflow; raises NotFound."""
        ...

    async def submit(self, workflow: str, values: Json) -> Json:
        """Return the new job. Where an answer is lost it is asked again, and makes no second."""
        ...

    def follow(self, job_id: str) -> AsyncGenerator[Json, None]:
        """Yield a job's state whenever it has changed; the last one is the whole job as it ended.

        A server that is away meanwhile is waited for, for a minute.
        """
        ...

    async def job(self, job_id: str) -> Json:
        """Return a job as it is now."""
        ...

    async def story(self, job_id: str) -> Json:
        """Return a job with its resolved ``parameters``."""
        ...

    async def jobs(self, narrowed: Mapping[str, str]) -> Json:
        """Return a page: ``jobs``, newest first, and ``next_cursor``."""
        ...

    async def cancel(self, job_id: str) -> Json: ...

    async def read(self, job_id: str, output: Json) -> bytes:
        """Return the content of a job's output."""
        ...
