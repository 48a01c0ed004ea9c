"""A model file that is being fetched.

Beside the bytes stands a note of how many of them are certain to be on the disk, with their hash:
after a crash the part goes on from there if the bytes still have that hash, and else anew.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from comfyq.adapters.filesystem.durable import make_folder, replace, sync_folder
from comfyq.domain.lock_format import SHA256
from comfyq.domain.models.errors import ModelRefused, NoRoomForModel
from comfyq.domain.models.formats import LENGTH_BYTES, START_BYTES, check_header, header_bytes
from comfyq.ports.models.store import StoredModel

PARTS = "parts"  # below the store's folder
READ_BYTES = 2**20
KEEP_BYTES = 16 * 2**20  # a crash costs no more than that
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
GIGABYTE = 10**9

FreeBytes = Callable[[Path], int]


class MakeRoom(Protocol):
    def __call__(self, part: Path, *, offset: int, size: int | None) -> None: ...


class FilePart:
    """See the port. ``place`` tells where a file of a hash belongs."""

    def __init__(
        self,
        path: Path,
        *,
        place: Callable[[str], Path],
        make_room: MakeRoom,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        self._path = path
        self._place = place
        self._make_room = make_room
        self._keep_bytes = keep_bytes
        self._note = note_of(path)
        # without a buffer: what a full disk refuses would be tried again when it is closed
        self._file = FileIO(path, "r+" if path.exists() else "w+")
        self.etag: str | None = None
        self._hash = hashlib.sha256()
        self.offset = self._kept = 0
        self._read_kept()

    def close(self) -> None:
        self._file.close()
        if self.offset == 0:
            self._path.unlink(missing_ok=True)

    def begin(self, *, offset: int, size: int | None, etag: str | None) -> None:
        assert offset in (0, self.offset), "a part has no holes"
        if offset == 0:
            self._start_over()
        self.etag = etag
        self._make_room(self._path, offset=self.offset, size=size)

    def write(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        try:
            while left:
                done = left[: self._file.write(left)]
                self._hash.update(done)
                self.offset += len(done)
                left = left[len(done) :]
            if self.offset - self._kept >= self._keep_bytes:
                self._keep()
        except OSError as error:
            raise self._fault(error) from None

    def keep(self) -> None:
        try:
            self._keep()
        except OSError:
            return  # what was kept before still is

    def finish(self, file: str, *, sha256: str | None, size: int | None) -> StoredModel:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._fault(error) from None
        digest = self._hash.hexdigest()
        try:
            self._check(file, digest, sha256=sha256, size=size)
        except ModelRefused:
            self._start_over()
            raise
        os.fchmod(self._file.fileno(), 0o444)  # nobody changes it by mistake
        target = self._place(digest)
        make_folder(str(target.parent))
        os.replace(self._path, target)  # a model is there whole, or not at all
        adoption_of(target).unlink(missing_ok=True)
        sync_folder(str(target.parent))
        self._note.unlink(missing_ok=True)
        self._kept = self.offset
        return StoredModel(digest, self.offset)

    def _check(self, file: str, digest: str, *, sha256: str | None, size: int | None) -> None:
        if size is not None and self.offset != size:
            raise ModelRefused(f"{file} has {self.offset} bytes, and the lock says {size}")
        if sha256 is not None and digest != sha256:
            raise ModelRefused(
                f"{file} has the SHA-256 {digest}, and the lock says {sha256}: the origin has "
                "another file now, or it was changed on the way"
            )
        with self._path.open("rb") as content:
            check_content(content, file, self.offset)

    def _read_kept(self) -> None:
        """Take what the note says to be there, if its bytes have the hash that it says."""
        note = _read_note(self._note)
        if note is None:
            return
        digest, left = hashlib.sha256(), int(note["bytes"])
        while left and (chunk := self._file.read(min(left, READ_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
        if left or digest.hexdigest() != note["sha256"]:
            self._file.seek(0)
            return
        self._hash, self.etag = digest, note["etag"]
        self.offset = self._kept = int(note["bytes"])
        self._file.truncate(self.offset)

    def _start_over(self) -> None:
        self._note.unlink(missing_ok=True)
        self._file.seek(0)
        if os.fstat(self._file.fileno()).st_size:
            self._file.truncate(0)
        self._hash = hashlib.sha256()
        self.offset = self._kept = 0

    def _keep(self) -> None:
        if self.offset == self._kept:
            return
        os.fsync(self._file.fileno())
        note = {"bytes": self.offset, "sha256": self._hash.hexdigest(), "etag": self.etag}
        replace(self._note, lambda file: file.write(json.dumps(note).encode()))
        self._kept = self.offset

    def _fault(self, error: OSError) -> Exception:
        if error.errno not in NO_ROOM:
            return error
        return NoRoomForModel(
            f"{self._path.parent}: {error.strerror} after {self.offset / GIGABYTE:.2f} GB of the "
            "file, which stay for the next time: free some, or `comfyq models prune`"
        )


def place_of(store: Path, sha256: str) -> Path:
    assert SHA256.fullmatch(sha256), "a lock is checked when it is read"
    return store / sha256[:2] / sha256


def part_of(store: Path, key: str) -> Path:
    return store / PARTS / f"{key}.part"


def lock_of(part: Path) -> Path:
    return part.with_suffix(".lock")


def note_of(path: Path) -> Path:
    return path.with_suffix(".json")


def adoption_of(place: Path) -> Path:
    """Return where it is noted that a file of the store was somebody else's before."""
    return place.with_suffix(".adopted")


def check_content(content: BinaryIO, file: str, size: int) -> None:
    """Check that a file is of the format that its name says; raises ModelRefused."""
    start = content.read(START_BYTES)
    length = header_bytes(file, start, size)
    if length:
        content.seek(LENGTH_BYTES)
        check_header(file, content.read(length), size - LENGTH_BYTES - length)


def _read_note(path: Path) -> Mapping[str, Any] | None:
    try:
        note: dict[str, Any] = json.loads(path.read_bytes())
        is_whole = isinstance(note["bytes"], int) and note["bytes"] > 0
        is_whole &= isinstance(note["sha256"], str) and isinstance(note["etag"], str | None)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if is_whole else None
