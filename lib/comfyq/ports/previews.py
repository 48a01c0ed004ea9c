"""Ports for previews of running jobs."""

from dataclasses import dataclass
from typing import Protocol

MAX_PREVIEW_BYTES = 48_000  # in base64 64,000 characters: its frame is below 64 KiB


@dataclass(frozen=True, slots=True)
class SmallPicture:
    content: bytes
    content_type: str
    width: int
    height: int


class PreviewScaler(Protocol):
    """Bring previews to a size that a frame has room for."""

    async def scaled(self, image: bytes) -> SmallPicture | None:
        """Return a picture of MAX_PREVIEW_BYTES at most; None if ``image`` is none that can be
        read. Custom nodes send anything."""
        ...
