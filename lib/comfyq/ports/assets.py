from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UploadLink:
    """A signed address that a client PUTs a file to."""

    url: str
    headers: Mapping[str, str]  # that it has to send with it


class Assets(Protocol):
    """Stored files, by key (``outputs/JOB/ATTEMPT/N-name.png``).

    What ``put`` has returned from survives a power cut. Whether a file exists is asked of the
    table, never of the storage. Raises AssetsUnavailable where the storage does not answer.
    """

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        """Store the file at ``source`` under ``key``, replacing what was there."""
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes ``start`` to ``end`` (exclusive; None: all that follow), in chunks.

        Raises:
            OutputNotFound: nothing is stored under ``key``.
        """
        ...

    async def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        ...

    async def link(
        self, key: str, *, expires_s: int, content_type: str, filename: str
    ) -> str | None:
        """A URL from which a client downloads the file itself until ``expires_s`` from now, shown
        as ``filename``; None where only we can serve it."""
        ...

    async def upload_link(
        self, key: str, *, expires_s: int, size: int, content_type: str
    ) -> UploadLink | None:
        """A URL to which a client sends a file of ``size`` bytes itself, until ``expires_s`` from
        now; None where only we can take it. Not every storage refuses other sizes and types."""
        ...
