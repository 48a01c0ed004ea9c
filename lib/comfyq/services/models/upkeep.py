"""Upkeep of a store of models: what is damaged, what nobody needs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from comfyq.domain.models.lock import LockedModel
from comfyq.ports.models.store import ModelUpkeep, StoredModel


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
    def size(self) -> int:
        """Return the bytes that it takes."""
        return sum(each.size for each in (*self.files, *self.parts))


class ModelCare:
    def __init__(self, upkeep: ModelUpkeep) -> None:
        self._upkeep = upkeep

    def soundness(self, model: LockedModel) -> Soundness:
        """Read a whole file, and compare its hash with the lock's."""
        digest = self._upkeep.digest(model.sha256)
        if digest is None:
            return Soundness.ABSENT
        return Soundness.SOUND if digest == model.sha256 else Soundness.DAMAGED

    def discard(self, model: LockedModel) -> None:
        """Delete a damaged file, so that it is fetched again."""
        self._upkeep.delete([model.sha256])

    def unneeded(self, locked: Collection[LockedModel]) -> Unneeded:
        """Return what is in the store and in none of the locks."""
        named = {model.sha256 for model in locked}
        files = [each for each in self._upkeep.all() if each.sha256 not in named]
        return Unneeded(files, self._upkeep.parts(named))

    def prune(self, unneeded: Unneeded) -> None:
        self._upkeep.delete([each.sha256 for each in unneeded.files])
        self._upkeep.delete_parts([each.sha256 for each in unneeded.parts])
