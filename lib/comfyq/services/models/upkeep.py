"""Upkeep of a store of models: what is damaged, what nobody needs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from comfyq.domain.models.lock import LockedModel
from comfyq.ports.models.store import ModelInventory, StoredModel


class Soundness(StrEnum):
    SOUND = "ok"
    DAMAGED = "damaged"
    ABSENT = "missing"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """What no lock names."""

    files: Sequence[StoredModel]
    parts: Sequence[StoredModel]

    @property
    def all(self) -> Sequence[StoredModel]:
        return [*self.files, *self.parts]

    @property
    def size(self) -> int:
        """Return the bytes that it takes."""
        return sum(each.size for each in self.all)

    @property
    def names(self) -> Collection[str]:
        return {each.sha256 for each in self.all}

    def only(self, names: Collection[str]) -> "Unneeded":
        """Return what of it has these names."""
        return Unneeded(_only(self.files, names), _only(self.parts, names))


class ModelUpkeep:
    def __init__(self, inventory: ModelInventory) -> None:
        self._inventory = inventory

    def stored(self) -> Sequence[StoredModel]:
        """Return every file of the store."""
        return self._inventory.all()

    def soundness(self, model: LockedModel) -> Soundness:
        """Read a whole file, and compare its hash with the lock's."""
        digest = self._inventory.digest(model.sha256)
        if digest is None:
            return Soundness.ABSENT
        return Soundness.SOUND if digest == model.sha256 else Soundness.DAMAGED

    def discard(self, model: LockedModel) -> None:
        """Delete a damaged file, so that it is fetched again."""
        self._inventory.delete([model.sha256])

    def unneeded(self, locked: Collection[LockedModel]) -> Unneeded:
        """Return what is in the store and in none of the locks."""
        named = {model.sha256 for model in locked}
        files = [each for each in self._inventory.all() if each.sha256 not in named]
        return Unneeded(files, self._inventory.parts(named))

    def prune(self, unneeded: Unneeded) -> Unneeded:
        """Delete what is not needed, and return it but for what somebody fetches or links by
        now."""
        files = self._inventory.delete([each.sha256 for each in unneeded.files])
        parts = self._inventory.delete_parts([each.sha256 for each in unneeded.parts])
        return unneeded.only({*files, *parts})

    def clear(self, *, with_parts: bool) -> int:
        """Delete all files of the store, and parts that nobody fetches now; return how many files
        there were."""
        everything = self.unneeded([])
        parts = everything.parts if with_parts else []
        return len(self.prune(Unneeded(everything.files, parts)).files)


def _only(models: Sequence[StoredModel], names: Collection[str]) -> Sequence[StoredModel]:
    return [each for each in models if each.sha256 in names]
