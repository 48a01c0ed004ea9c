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

    A file survives a power cut once ``put`` has returned. The table, never the storage, says
    whether a file exists. Raises AssetsUnavailable if the storage does not answer.
    """

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        """Store the file at ``source`` under ``key``, replacing what was there.

        ``source`` may be deleted afterwards, but not written to: it may be what is stored.
        """
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream the bytes ``start`` to ``end`` (exclusive; None: to the file's end), in chunks.

        Raises:
            OutputNotFound: nothing is stored under ``key``.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete a file; a missing one is no error."""
        ...

    async def link(
        self, key: str, *, expires_s: int, content_type: str, filename: str
    ) -> str | None:
        """Return a URL from which a client downloads the file as ``filename`` until ``expires_s``
        from now, with the headers of ``domain.files.serving``; None if the storage has no URLs."""
        ...

    async def upload_link(
        self, key: str, *, expires_s: int, size: int, content_type: str
    ) -> UploadLink | None:
        """Return a URL to which a client sends a file of ``size`` bytes until ``expires_s`` from
        now; None if the storage has no URLs. Not every storage refuses other sizes and types."""
        ...
