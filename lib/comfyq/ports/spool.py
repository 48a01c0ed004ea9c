from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file on the worker's disk, on its way to asset storage."""

    path: Path
    size: int  # bytes
    blake3: str  # hex


class Spool(Protocol):
    """The worker's own folder for files between ComfyUI and asset storage."""

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> Spooled:
        """Write ``chunks`` to disk as they come, never holding them whole in memory."""
        ...

    async def discard(self, spooled: Spooled) -> None: ...
