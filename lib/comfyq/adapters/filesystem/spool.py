import shutil
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from uuid import uuid4

from anyio import to_thread
from blake3 import blake3

from comfyq.ports.spool import Spooled


class FileSpool:
    """Files between ComfyUI and asset storage, in a folder that one process has to itself.

    Nothing is synced: after a power cut the files are fetched from ComfyUI again.
    """

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> Spooled:
        """As the port says. Two files of one name do not overwrite each other."""
        path = self._folder / f"{uuid4().hex}-{PurePosixPath(name).name}"
        hasher = blake3()
        size = 0
        file = await to_thread.run_sync(self._open, path)
        try:
            async for chunk in chunks:
                await to_thread.run_sync(_append, file, hasher, chunk)
                size += len(chunk)
            # Closing writes what is buffered, so a full disk is noticed here at the latest.
            await to_thread.run_sync(file.close)
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
        return Spooled(path=path, size=size, blake3=hasher.hexdigest())

    async def discard(self, spooled: Spooled) -> None:
        await to_thread.run_sync(lambda: spooled.path.unlink(missing_ok=True))

    def clear(self) -> None:
        """Remove what an earlier process left behind."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, path: Path) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


def _append(file: BinaryIO, hasher: blake3, chunk: bytes) -> None:
    file.write(chunk)
    hasher.update(chunk)
