from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from comfyq.domain.errors import OutputNotFound
from comfyq.ports.assets import UploadLink

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    body: bytes
    content_type: str


class MemoryAssets:
    """Stored files in a dictionary. ``linked`` makes it hand out URLs as an object store does."""

    def __init__(self, *, linked: bool = False) -> None:
        self.stored: dict[str, StoredObject] = {}
        self._linked = linked

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        self.stored[key] = StoredObject(await anyio.Path(source).read_bytes(), content_type)

    async def read(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        await checkpoint()
        asset = self.stored.get(key)
        if asset is None:
            raise OutputNotFound(f"no file {key}")
        body = asset.body[start:end]
        for at in range(0, len(body), CHUNK_BYTES):
            yield body[at : at + CHUNK_BYTES]

    async def delete(self, key: str) -> None:
        await checkpoint()
        self.stored.pop(key, None)

    async def link(
        self, key: str, *, expires_s: int, content_type: str, filename: str
    ) -> str | None:
        if not self._linked:
            return None
        return f"https://assets.invalid/{key}?expires_s={expires_s}&filename={filename}"

    async def upload_link(
        self, key: str, *, expires_s: int, size: int, content_type: str
    ) -> UploadLink | None:
        if not self._linked:
            return None
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        return UploadLink(f"https://assets.invalid/{key}?expires_s={expires_s}", headers)
