import json
import os
import shutil
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from comfyq.adapters.filesystem.durable import replace
from comfyq.aio.threads import in_thread
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import JobId
from comfyq.ports.spool import Parcel, Spooled

TOGETHER_BYTES = 256 * 1024  # written at once, by one hop to a thread
SMALL_BYTES = 64 * 1024  # written, or removed, in less time than the way to a thread and back takes
KEPT = "kept"  # the folder of notes about parcels: one file each, its files beside the folder


class FileSpool:
    """Files between ComfyUI and asset storage, in a folder that one process has to itself.

    Only kept parcels are synced: after a power cut, other files are fetched from ComfyUI again.
    Parcels take at most ``max_kept_bytes`` of the disk.
    """

    def __init__(self, *, folder: Path, max_kept_bytes: int = 10 * 2**30) -> None:
        self._folder = folder
        self._max_kept_bytes = max_kept_bytes

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> Spooled:
        """As the port says. Two files of one name do not overwrite each other."""
        file = _Growing(f"{self._folder}/{os.urandom(16).hex()}-{os.path.basename(name)}")
        waiting: list[bytes] = []
        try:
            async for chunk in chunks:
                waiting.append(chunk)
                if sum(map(len, waiting)) >= TOGETHER_BYTES:
                    await in_thread(file.append, waiting)
                    waiting = []
            if file.is_begun or sum(map(len, waiting)) > SMALL_BYTES:
                return await in_thread(file.finish, waiting)
            return file.finish(waiting)
        except BaseException:
            file.abandon()
            raise

    async def discard(self, spooled: Spooled) -> None:
        if spooled.size <= SMALL_BYTES:
            _unlink(spooled.path)
        else:
            await in_thread(_unlink, spooled.path)

    async def keep(self, parcel: Parcel) -> bool:
        return await in_thread(self._keep, parcel)

    async def kept(self) -> Sequence[Parcel]:
        return await in_thread(self._kept)

    async def drop(self, parcel: Parcel) -> None:
        await in_thread(self._drop, parcel)

    def clear(self) -> None:
        """Remove an earlier process's files, except its parcels."""
        parcels = self._kept()
        wanted = {self._note(parcel) for parcel in parcels}
        wanted |= {spooled.path for parcel in parcels for _, spooled in parcel.contents if spooled}
        for path in self._folder.rglob("*"):
            if path.is_file() and path not in wanted:
                path.unlink(missing_ok=True)
        if not wanted:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self, parcel: Parcel) -> bool:
        if parcel.size > self._max_kept_bytes:
            self._drop(parcel)
            return False
        kept = self._kept()
        while kept and sum(each.size for each in [*kept, parcel]) > self._max_kept_bytes:
            self._drop(kept.pop(0))
        for _, spooled in parcel.contents:
            if spooled is not None:
                _sync(spooled.path)
        body = json.dumps(_described(parcel)).encode()
        replace(self._note(parcel), lambda file: file.write(body))
        return True

    def _kept(self) -> list[Parcel]:
        notes = sorted((self._folder / KEPT).glob("*.json"), key=lambda note: note.stat().st_mtime)
        parcels = [self._parcel(json.loads(note.read_bytes())) for note in notes]
        return [parcel for parcel in parcels if _is_whole(parcel)]

    def _drop(self, parcel: Parcel) -> None:
        self._note(parcel).unlink(missing_ok=True)
        for _, spooled in parcel.contents:
            if spooled is not None:
                spooled.path.unlink(missing_ok=True)

    def _note(self, parcel: Parcel) -> Path:
        return self._folder / KEPT / f"{parcel.job_id}-{parcel.attempt}.json"

    def _parcel(self, described: Mapping[str, Any]) -> Parcel:
        contents = [
            (
                Output(**each["output"] | {"kind": OutputKind(each["output"]["kind"])}),
                _spooled(self._folder, each["output"], each["file"]),
            )
            for each in described["contents"]
        ]
        return Parcel(JobId(described["job_id"]), described["attempt"], contents)


def _described(parcel: Parcel) -> dict[str, Any]:
    contents = [
        {"output": asdict(output), "file": spooled.path.name if spooled else None}
        for output, spooled in parcel.contents
    ]
    return {"job_id": parcel.job_id, "attempt": parcel.attempt, "contents": contents}


def _spooled(folder: Path, output: Mapping[str, Any], name: str | None) -> Spooled | None:
    return None if name is None else Spooled(folder / name, output["size"], output["blake3"])


def _is_whole(parcel: Parcel) -> bool:
    return all(
        spooled is None or (spooled.path.is_file() and spooled.path.stat().st_size == spooled.size)
        for _, spooled in parcel.contents
    )


class _Growing:
    """A file that is being written. The first call creates it; every call may block.

    A caller that was canceled leaves a thread at work, which removes the file at its end.
    """

    def __init__(self, path: str) -> None:
        self._path = path  # a text, which costs fewer calls
        self._file: BinaryIO | None = None
        self._hasher = blake3()
        self._size = 0
        self._lock = threading.Lock()
        self._is_abandoned = False

    @property
    def is_begun(self) -> bool:
        return self._file is not None

    def append(self, chunks: Sequence[bytes]) -> None:
        with self._lock:
            if not self._is_abandoned:
                self._write(chunks)
        self._remove_if_abandoned()

    def finish(self, chunks: Sequence[bytes]) -> Spooled:
        with self._lock:
            if not self._is_abandoned:
                self._write(chunks)
                if self._file is not None:
                    self._file.close()  # writes what is buffered: a full disk is noticed here
        self._remove_if_abandoned()
        return Spooled(path=Path(self._path), size=self._size, blake3=self._hasher.hexdigest())

    def abandon(self) -> None:
        """Remove the file, unless a thread still writes: then that one does."""
        self._is_abandoned = True
        self._remove_if_abandoned()

    def _write(self, chunks: Sequence[bytes]) -> None:
        if self._file is None:
            self._file = self._opened()
        for chunk in chunks:
            self._file.write(chunk)
            self._hasher.update(chunk)
            self._size += len(chunk)

    def _opened(self) -> BinaryIO:
        try:
            return open(self._path, "xb")
        except FileNotFoundError:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            return open(self._path, "xb")

    def _remove_if_abandoned(self) -> None:
        # Whoever has the lock comes here after it, and finds that the file was abandoned.
        if not self._is_abandoned or not self._lock.acquire(blocking=False):
            return
        try:
            # Closing writes what is buffered, and on a full disk fails; then it is closed all the
            # same.
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()
            _unlink(self._path)
        finally:
            self._lock.release()


def _unlink(path: str | Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
