"""Ports for the model files of this machine. Their methods block."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from comfyq.domain.models.lock import LockedModel


class PartHeld(Exception):
    """Another process is fetching, linking, using or deleting the same file."""


class ModelState(StrEnum):
    READY = "ready"  # ComfyUI finds it
    UNLINKED = "not linked"  # the store has it, ComfyUI's folder does not
    PARTIAL = "partial"  # a part has been fetched
    MISSING = "missing"
    OTHER = "other file"  # one of the same name stands there that is not of the store


@dataclass(frozen=True, slots=True)
class StoredModel:
    sha256: str  # as its name says
    size: int  # bytes


class ModelPart(Protocol):
    """A file that is being fetched; what was kept of it survives the process."""

    @property
    def offset(self) -> int:
        """Return how many of its bytes are there."""
        ...

    @property
    def etag(self) -> str | None: ...

    def begin(self, *, offset: int, size: int | None, etag: str | None) -> None:
        """Go on at ``offset``, which is where the part ends, or 0 to begin anew.

        Raises:
            NoRoomForModel: there is no room for what is to come, and none can be made.
            ModelUnavailable: another process makes room now.
        """
        ...

    def write(self, chunk: bytes) -> None:
        """Add bytes; raises NoRoomForModel."""
        ...

    def keep(self) -> None:
        """Make what is there survive the process, if it can be."""
        ...

    def finish(self, file: str, *, sha256: str | None, size: int | None) -> StoredModel:
        """Check the whole file and put it into the store; a wrong one is deleted.

        Raises:
            ModelRefused: it has another hash, or is no model file.
        """
        ...


class ModelStore(Protocol):
    """Files by their hash, with links to them in ComfyUI's folders."""

    def holds(self, sha256: str, size: int) -> bool:
        """Return whether the file is there, of that size."""
        ...

    def part(self, key: str) -> AbstractContextManager[ModelPart]:
        """Open what there is of a file that is being fetched, which keeps it from being deleted as
        well; raises PartHeld."""
        ...

    def adopt(self, model: LockedModel) -> None:
        """Make a file of the store of one that stands in ComfyUI's folder, if it is that one; it
        stays there, also when the store's is deleted."""
        ...

    def link(self, model: LockedModel) -> None:
        """Make ComfyUI find a file of the store; raises ModelRefused if another stands there."""
        ...

    def using(self, sha256: Collection[str]) -> AbstractContextManager[None]:
        """Keep files from being deleted, by any process, whether they are here or about to come;
        raises PartHeld while one is being deleted."""
        ...

    def room(self, coming: Collection[str] = ()) -> int:
        """Return how many bytes more there may be beside what is being fetched, of which those of
        ``coming`` do not count; fewer than 0 if there are too many already."""
        ...

    def evictable(self, kept: Collection[str]) -> int:
        """Return how many bytes can be made free for others: of files that were fetched, that
        nobody uses and that are not of ``kept``."""
        ...

    def state(self, model: LockedModel) -> tuple[ModelState, int]:
        """Return how it is with a file, and how many of its bytes are here."""
        ...


class ModelInventory(Protocol):
    """All that there is in a store, to check and to delete it."""

    def all(self) -> Sequence[StoredModel]:
        """Return every file of the store, with the bytes that deleting it frees: none if the file
        stood in ComfyUI's folder before, and stays there."""
        ...

    def digest(self, sha256: str) -> str | None:
        """Return the hash of a file as it is now; None if it is not there."""
        ...

    def delete(self, sha256: Collection[str]) -> Sequence[str]:
        """Delete files that nobody fetches, links or uses now, and the links that ``link`` made to
        them; return those."""
        ...

    def parts(self, kept: Collection[str]) -> Sequence[StoredModel]:
        """Return the parts that nobody fetches now, but for those of ``kept``."""
        ...

    def delete_parts(self, keys: Collection[str]) -> Sequence[str]:
        """Delete parts that nobody fetches now; return those."""
        ...
