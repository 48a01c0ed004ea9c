import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from blake3 import blake3

from comfyq.ports.spool import Parcel, Spooled


class MemorySpool:
    """A spool in a folder that goes away with it; files it must have, since assets read paths."""

    def __init__(self, *, max_kept_bytes: int = 2**30) -> None:
        self._max_kept_bytes = max_kept_bytes
        self._parcels: list[Parcel] = []
        self._folder = Path(tempfile.mkdtemp(prefix="comfyq-spool-"))
        # Who makes many, as a property test does, closes none of them.
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._saved = 0

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> Spooled:
        body = b"".join([chunk async for chunk in chunks])
        self._saved += 1
        path = self._folder / f"{self._saved}-{Path(name).name}"
        path.write_bytes(body)
        return Spooled(path=path, size=len(body), blake3=blake3(body).hexdigest())

    async def discard(self, spooled: Spooled) -> None:
        spooled.path.unlink(missing_ok=True)

    async def keep(self, parcel: Parcel) -> bool:
        if parcel.size > self._max_kept_bytes:
            await self.drop(parcel)
            return False
        self._parcels.append(parcel)
        while sum(kept.size for kept in self._parcels) > self._max_kept_bytes:
            await self.drop(self._parcels[0])
        return True

    async def kept(self) -> Sequence[Parcel]:
        return list(self._parcels)

    async def drop(self, parcel: Parcel) -> None:
        if parcel in self._parcels:
            self._parcels.remove(parcel)
        for _, spooled in parcel.contents:
            if spooled is not None:
                await self.discard(spooled)

    def close(self) -> None:
        self._remove()
