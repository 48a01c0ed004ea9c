from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

from anyio import to_thread
from blake3 import blake3

from comfyq.adapters.filesystem.durable import CHUNK_BYTES, replace_by_file
from comfyq.domain.errors import AssetsUnavailable, OutputNotFound

LONGEST_NAME = 240  # bytes; file systems end at 255, and a temporary name must fit as well
SPELLED = " ()[],=+@!"  # characters that a name may keep


class FileAssets:
    """Stored files as files under one folder: ``outputs/3f/3f0f…%2F1%2F0-name.png``.

    Only the first part of a key is a folder, with at most 256 below it. A folder for each job would
    have to be made and synced for each job, which costs more than its files.
    The content type is not stored here: it is in the table.
    """

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        await to_thread.run_sync(self._put, self.path_of(key), source)

    async def read(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        path = self.path_of(key)
        left = None if end is None else max(end - start, 0)
        try:
            # A small file costs one hop to a thread: it is opened, read and closed in it.
            file, chunk = await to_thread.run_sync(_opened, path, start, _at_most(left))
            try:
                while chunk:
                    left = None if left is None else left - len(chunk)
                    yield chunk
                    if file is None:
                        return
                    chunk = await to_thread.run_sync(file.read, _at_most(left))
            finally:
                if file is not None:
                    file.close()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise OutputNotFound(f"no file {key}") from error
        except OSError as error:
            raise AssetsUnavailable(f"{str(path)!r}: {error.strerror}") from error

    async def delete(self, key: str) -> None:
        await to_thread.run_sync(self._delete, self.path_of(key))

    async def link(
        self, key: str, *, expires_s: int, content_type: str, filename: str
    ) -> str | None:
        return None

    async def upload_link(self, key: str, *, expires_s: int, size: int, content_type: str) -> None:
        return None

    def path_of(self, key: str) -> Path:
        """Return where a key's file is, or would be."""
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or "\0" in key or ".." in parts:
            raise ValueError(f"{key!r} is no key: it leads out of the storage folder")
        digest = blake3(key.encode()).hexdigest()
        name = quote("/".join(parts[1:]) or parts[0], safe=SPELLED)
        if len(name.encode()) > LONGEST_NAME:
            name = digest
        return Path(f"{self._folder}/{quote(parts[0], safe=SPELLED)}/{digest[:2]}/{name}")

    def _put(self, path: Path, source: Path) -> None:
        with source.open("rb") as origin:
            try:
                replace_by_file(path, origin)
            except OSError as error:
                raise AssetsUnavailable(f"{str(path)!r}: {error.strerror}") from error

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise AssetsUnavailable(f"{str(path)!r}: {error.strerror}") from error


def _opened(path: Path, start: int, size: int) -> tuple[BinaryIO | None, bytes]:
    """The file and its first chunk; no file where that chunk is all that there is."""
    file = path.open("rb")
    try:
        file.seek(start)
        chunk = file.read(size)
        if len(chunk) == CHUNK_BYTES:
            return file, chunk
    except BaseException:
        file.close()
        raise
    file.close()
    return None, chunk


def _at_most(left: int | None) -> int:
    return CHUNK_BYTES if left is None else min(left, CHUNK_BYTES)
