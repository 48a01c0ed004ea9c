import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from blake3 import blake3

from comfyq.ports.spool import Spooled


class MemorySpool:
    """A spool in a folder that goes away with it; files it must have, since assets read paths."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="comfyq-spool-")
        self._saved = 0

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> Spooled:
        body = b"".join([chunk async for chunk in chunks])
        self._saved += 1
        path = Path(self._folder.name) / f"{self._saved}-{Path(name).name}"
        path.write_bytes(body)
        return Spooled(path=path, size=len(body), blake3=blake3(body).hexdigest())

    async def discard(self, spooled: Spooled) -> None:
        spooled.path.unlink(missing_ok=True)

    def close(self) -> None:
        self._folder.cleanup()
