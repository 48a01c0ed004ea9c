"""Room for models that are to come: on the disk, and in what the store may take.

Who begins to fetch a file notes in its lock how large it will be, so that no other process counts
on the same room. What is deleted for it is what nobody uses and was used least recently.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from comfyq.adapters.filesystem.lock import AlreadyHeld, hold, is_held
from comfyq.adapters.filesystem.models.part import (
    GIGABYTE,
    FreeBytes,
    adoption_of,
    lock_of,
    part_of,
    place_of,
)
from comfyq.adapters.filesystem.models.uses import ModelUses
from comfyq.aio.logs import log
from comfyq.domain.models.errors import ModelUnavailable, NoRoomForModel
from comfyq.ports.models.store import ModelInventory, StoredModel

WAIT_S = 5.0  # for another process that makes room


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds that the operator sets. ``least_free_bytes`` of the disk are left free; the store
    takes no more than ``max_bytes``; with ``evicts``, files that nobody uses are deleted for
    others."""

    least_free_bytes: int = 0
    max_bytes: int | None = None
    evicts: bool = False


@dataclass(frozen=True, slots=True)
class _Unused:
    model: StoredModel
    is_part: bool
    used_s: float


class StoreRoom:
    def __init__(
        self,
        store: Path,
        inventory: ModelInventory,
        uses: ModelUses,
        *,
        bounds: Bounds,
        free_bytes: FreeBytes,
    ) -> None:
        self._store = store
        self._inventory = inventory
        self._uses = uses
        self._bounds = bounds
        self._free_bytes = free_bytes

    def free(self, coming: Collection[str] = ()) -> int:
        """Return how many bytes more there may be, but for those of files that are being fetched
        and are not of ``coming``."""
        free = self._free_bytes(self._store) - self._bounds.least_free_bytes
        if self._bounds.max_bytes is not None:
            free = min(free, self._bounds.max_bytes - self._taken())
        return free - self._awaited(coming)

    def evictable(self, kept: Collection[str]) -> int:
        """Return how many bytes can be made free, without the files of ``kept``."""
        return sum(each.model.size for each in self._unused(kept))

    def make(self, part: Path, *, offset: int, size: int | None) -> None:
        """Make room for the rest of a file that is about to come, and keep it for that.

        Raises:
            NoRoomForModel: there is not enough, and nothing was deleted in vain, unless ComfyUI
                has it open.
            ModelUnavailable: another process makes room now.
        """
        missing = 0 if size is None else size - offset
        with self._alone():
            free = self.free([part.stem])
            if missing > free:
                self._evict(missing - free, part.stem)
                free = self.free([part.stem])
            if missing > free:
                raise NoRoomForModel(self._told(missing, free))
            lock_of(part).write_text(str(offset + missing))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            lock = hold(self._store / "room.lock", wait_s=WAIT_S)
        except AlreadyHeld:
            raise ModelUnavailable(
                f"{self._store}: another process makes room for a model now"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _evict(self, lacking: int, wanted: str) -> None:
        """Delete as much as is lacking, or nothing if there is too little to delete."""
        for each in _fewest(self._unused([wanted]), lacking):
            delete = self._inventory.delete_parts if each.is_part else self._inventory.delete
            if delete([each.model.sha256]):  # or somebody has begun to use it
                log.info(
                    "model_evicted",
                    sha256=each.model.sha256,
                    bytes=each.model.size,
                    wanted=wanted,
                    whole=not each.is_part,
                )

    def _unused(self, kept: Collection[str]) -> Sequence[_Unused]:
        """Return what comfyq has fetched and nobody uses, the least recently used first."""
        if not self._bounds.evicts:
            return []
        files = [each for each in self._inventory.all() if self._is_ours(each)]
        found = [(each, False, place_of(self._store, each.sha256)) for each in files]
        found += [
            (each, True, part_of(self._store, each.sha256)) for each in self._inventory.parts(kept)
        ]
        unused = [
            _Unused(each, is_part, max(self._uses.last_s(each.sha256), _changed_s(file)))
            for each, is_part, file in found
            if each.sha256 not in kept and self._uses.is_free(each.sha256)
        ]
        return sorted(unused, key=_used_s)

    def _is_ours(self, model: StoredModel) -> bool:
        """Return whether a file was fetched, and has no other name that would keep its bytes."""
        return model.size > 0 and not adoption_of(place_of(self._store, model.sha256)).exists()

    def _taken(self) -> int:
        parts = (self._store / "parts").glob("*.part")
        return sum(each.size for each in self._inventory.all()) + sum(map(_size, parts))

    def _awaited(self, coming: Collection[str]) -> int:
        """Return how many bytes are still to come of what is being fetched, by any process."""
        locks = (self._store / "parts").glob("*.lock")
        held = [each for each in locks if each.stem not in coming and is_held(each)]
        return sum(max(_noted(each) - _size(each.with_suffix(".part")), 0) for each in held)

    def _told(self, missing: int, free: int) -> str:
        bounds = self._bounds
        allowed = ""
        if bounds.max_bytes is not None:
            most = bounds.max_bytes / GIGABYTE
            allowed = f", and COMFYQ_MODEL_STORE_MAX_BYTES allows {most:.2f} GB in all"
        return (
            f"{self._store}: {missing / GIGABYTE:.2f} GB are to come, and there is room for "
            f"{max(free, 0) / GIGABYTE:.2f} GB: COMFYQ_MIN_FREE_BYTES keeps "
            f"{bounds.least_free_bytes / GIGABYTE:.2f} GB of the disk free{allowed}. Free some, or "
            "`comfyq models prune`"
        )


def _fewest(unused: Sequence[_Unused], lacking: int) -> Sequence[_Unused]:
    """Return the least recently used that free enough, without those that the others make needless;
    nothing if all are too few."""
    chosen, freed = list[_Unused](), 0
    for each in unused:
        chosen.append(each)
        freed += each.model.size
        if freed >= lacking:
            break
    else:
        return []
    for each in reversed(chosen):
        if freed - each.model.size >= lacking:
            chosen.remove(each)
            freed -= each.model.size
    return chosen


def _used_s(unused: _Unused) -> float:
    return unused.used_s


def _changed_s(file: Path) -> float:
    try:
        return file.lstat().st_mtime
    except OSError:
        return 0.0


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


def _noted(lock: Path) -> int:
    """Return how large a file will be that is being fetched; 0 if that is not known yet."""
    try:
        return int(lock.read_text())
    except (OSError, ValueError):
        return 0
