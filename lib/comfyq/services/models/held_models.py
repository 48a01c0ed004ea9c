"""The models that are on this machine, and the room for others, as its worker tells them."""

from collections.abc import Callable, Collection, Sequence

from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.aio.threads import in_thread
from comfyq.ports.models.store import ModelStore, StoredModel
from comfyq.records.workers import MOST_MODELS, short
from comfyq.services.models.upkeep import ModelUpkeep

LOOK_S = 5.0


class HeldModels:
    """Look at the store every ``look_s``; ``on_change`` is called when other models are there.

    Of more than a worker may tell, the largest are told: they take longest to fetch.
    """

    def __init__(
        self,
        store: ModelStore,
        upkeep: ModelUpkeep,
        *,
        fetches: bool,
        look_s: float = LOOK_S,
    ) -> None:
        self._store = store
        self._upkeep = upkeep
        self._fetches = fetches
        self._look_s = look_s
        self._is_away = False
        self.on_change: Callable[[], None] = lambda: None
        self.digests: frozenset[str] = frozenset()  # how their hashes begin
        self.room: int | None = None  # bytes that may still come; None: this worker fetches none

    async def run(self) -> None:
        """Look until canceled."""
        while True:
            await self.look()
            await beat(self._look_s)

    async def look(self) -> None:
        """Read which models are there; what was read before stays if the folder cannot be read."""
        try:
            digests, self.room = await in_thread(self._read)
        except OSError as away:
            if not self._is_away:
                log.warning("models_unreadable", reason=str(away))
            self._is_away = True
            return
        self._is_away = False
        if digests != self.digests:
            self.digests = digests
            self.on_change()

    def _read(self) -> tuple[frozenset[str], int | None]:
        told = frozenset(short(each.sha256) for each in _largest(self._upkeep.stored()))
        if not self._fetches:
            return told, None
        return told, max(self._store.room() + self._store.evictable(()), 0)


def _largest(models: Collection[StoredModel]) -> Sequence[StoredModel]:
    return sorted(models, key=lambda each: each.size, reverse=True)[:MOST_MODELS]
