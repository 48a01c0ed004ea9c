import os
import re
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

from blake3 import blake3

from comfyq.adapters.filesystem.durable import CHUNK_BYTES, replace_by_file
from comfyq.aio.threads import in_thread
from comfyq.domain.errors import AssetsUnavailable, OutputNotFound

LONGEST_NAME = 240  # bytes; file systems end at 255, and a temporary name must fit as well
SPELLED = " ()[],=+@!"  # characters that a name may keep
PART = r"[A-Za-z0-9_-][A-Za-z0-9_.~ ()\[\],=+@!-]*"
PLAIN = re.compile(f"{PART}(?:/{PART})+")  # a key of which nothing has to be quoted


class FileAssets:
    """Stored files as files under one folder: ``outputs/3f/3f0f…%2F1%2F0-name.png``.

    Only the first part of a key is a folder, with at most 256 below it. A folder for each job would
    have to be made and synced for each job, which costs more than its files.
    The content type is not stored here: it is in the table.
    """

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        await in_thread(_put, self._name_of(key), source)

    async def read(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        path = self._name_of(key)
        left = None if end is None else max(end - start, 0)
        try:
            # A small file costs one hop to a thread: it is opened, read and closed in it.
            file, chunk = await in_thread(_opened, path, start, _at_most(left))
            try:
                while chunk:
                    left = None if left is None else left - len(chunk)
                    yield chunk
                    if file is None:
                        return
                    chunk = await in_thread(file.read, _at_most(left))
            finally:
                if file is not None:
                    file.close()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise OutputNotFound(f"no file {key}") from error
        except OSError as error:
            raise AssetsUnavailable(f"{path!r}: {error.strerror}") from error

    async def delete(self, key: str) -> None:
        await in_thread(_delete, self._name_of(key))

    async def link(
        self, key: str, *, expires_s: int, content_type: str, filename: str
    ) -> str | None:
        return None

    async def upload_link(self, key: str, *, expires_s: int, size: int, content_type: str) -> None:
        return None

    def path_of(self, key: str) -> Path:
        """Return where a key's file is, or would be."""
        return Path(self._name_of(key))

    def _name_of(self, key: str) -> str:
        """Return a path as a text: making a ``Path`` costs more calls than using it."""
        if PLAIN.fullmatch(key):
            folder, _, name = key.partition("/")
            name = name.replace("/", "%2F")
        else:
            folder, name = _quoted(key)
        digest = blake3(key.encode()).hexdigest()
        if len(name) > LONGEST_NAME:
            name = digest
        return f"{self._folder}/{folder}/{digest[:2]}/{name}"


def _quoted(key: str) -> tuple[str, str]:
    """Return a key's folder, and its name there, with whatever may not stand in a path quoted.

    Raises:
        ValueError: the key would lead out of the storage folder.
    """
    parts = PurePosixPath(key).parts
    if not parts or key.startswith("/") or "\0" in key or ".." in parts:
        raise ValueError(f"{key!r} is no key: it leads out of the storage folder")
    folder, name = parts[0], "/".join(parts[1:]) or parts[0]
    return quote(folder, safe=SPELLED), quote(name, safe=SPELLED)


def _put(path: str, source: Path) -> None:
    with open(source, "rb") as origin:
        try:
            replace_by_file(path, origin)
        except OSError as error:
            raise AssetsUnavailable(f"{path!r}: {error.strerror}") from error


def _delete(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise AssetsUnavailable(f"{path!r}: {error.strerror}") from error


def _opened(path: str, start: int, size: int) -> tuple[BinaryIO | None, bytes]:
    """The file and its first chunk; no file where that chunk is all that there is."""
    file = open(path, "rb")  # noqa: SIM115 - it is returned
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
