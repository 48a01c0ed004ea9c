from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from comfyq.domain.files.output import Output
from comfyq.domain.job import JobId


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file on the worker's disk, on its way to asset storage."""

    path: Path
    size: int  # bytes
    blake3: str  # hex


@dataclass(frozen=True, slots=True)
class Parcel:
    """The results of one attempt that asset storage refused; they wait on the worker's disk."""

    job_id: JobId
    attempt: int
    contents: Sequence[tuple[Output, Spooled | None]]  # None: a text, which needs no file

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(spooled.size for _, spooled in self.contents if spooled is not None)


class Spool(Protocol):
    """The worker's own folder for files between ComfyUI and asset storage."""

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> Spooled:
        """Write ``chunks`` to disk as they arrive, never holding the whole file in memory.

        Raises:
            OSError: the disk is full, or cannot be written; nothing is left of the file.
        """
        ...

    async def discard(self, spooled: Spooled) -> None: ...

    async def keep(self, parcel: Parcel) -> bool:
        """Keep a parcel, whose files were saved here, also for the worker's next process.

        The oldest parcels are dropped to make room. False: the parcel alone is too large, and its
        files were deleted.
        """
        ...

    async def kept(self) -> Sequence[Parcel]:
        """Return the parcels whose files all exist, oldest first."""
        ...

    async def drop(self, parcel: Parcel) -> None:
        """Remove a parcel and its files."""
        ...
