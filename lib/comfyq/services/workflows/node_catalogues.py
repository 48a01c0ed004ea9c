"""Node catalogues: published by each worker, read when jobs are admitted."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from comfyq.aio.logs import log
from comfyq.domain.errors import AssetsUnavailable, OutputNotFound
from comfyq.domain.graph.json_entries import read_entries
from comfyq.domain.graph.node_catalogue import NodeCatalogue, essence, id_of, read_catalogue
from comfyq.domain.recency import is_recent
from comfyq.ports.assets import Assets
from comfyq.ports.catalogue import CatalogueSource
from comfyq.ports.clock import Clock
from comfyq.ports.spool import Spool
from comfyq.records.catalogues import CatalogueRecords, Published, key_of
from comfyq.records.workers import WorkerRecords

KEPT = timedelta(days=30)  # after a worker last published the catalogue
LOOK_EVERY = timedelta(seconds=5)  # maximum age of the cached list of catalogues
LOOK_AGAIN = timedelta(seconds=0.5)  # of an empty one: what it admits unchecked may wait for ever
READ_ERRORS = (OutputNotFound, AssetsUnavailable, OSError, EOFError, zlib.error, ValueError)
CACHED = 16  # parsed catalogues, some MB each


class KnownCatalogues(Protocol):
    async def known(self) -> Sequence[NodeCatalogue]:
        """Return the catalogues of live workers; none if nothing is known."""
        ...


class CataloguePublisher:
    """Publish a ComfyUI's catalogue for admission to use."""

    def __init__(
        self,
        *,
        source: CatalogueSource,
        records: CatalogueRecords,
        assets: Assets,
        spool: Spool,
        clock: Clock,
    ) -> None:
        self._source = source
        self._records = records
        self._assets = assets
        self._spool = spool
        self._clock = clock
        self._stored: str | None = None  # id of the catalogue that this process stored last

    async def publish(self) -> str:
        """Store the present catalogue if it has changed; return its id.

        Raises:
            EngineUnavailable: ComfyUI does not answer.
            Unavailable: the table or the storage does not answer.
        """
        info = await self._source.object_info()
        essential = await asyncio.to_thread(essence, info)  # of megabytes: the event loop goes on
        catalogue_id = id_of(essential)
        if catalogue_id != self._stored:
            await self._store(catalogue_id, essential)
            await self._forget_old()
            self._stored = catalogue_id
        await self._records.note(Published(catalogue_id, self._clock.now()))
        return catalogue_id

    async def _store(self, catalogue_id: str, essential: bytes) -> None:
        packed = await asyncio.to_thread(gzip.compress, essential, mtime=0)
        spooled = await self._spool.save(f"{catalogue_id}.json.gz", _once(packed))
        try:
            await self._assets.put(
                key_of(catalogue_id), spooled.path, content_type="application/gzip"
            )
        finally:
            await self._spool.discard(spooled)

    async def _forget_old(self) -> None:
        for published in await self._records.all():
            if self._clock.now() - published.seen_at > KEPT:
                await self._assets.delete(key_of(published.id))
                await self._records.remove(published.id)


class NodeCatalogues:
    """Read the catalogues that admission checks against, cached for LOOK_EVERY, or LOOK_AGAIN
    while there are none."""

    def __init__(
        self,
        *,
        workers: WorkerRecords,
        records: CatalogueRecords,
        assets: Assets,
        clock: Clock,
    ) -> None:
        self._workers = workers
        self._records = records
        self._assets = assets
        self._clock = clock
        self._looked_at: datetime | None = None
        self._looking = asyncio.Lock()
        self._known: Sequence[NodeCatalogue] = ()
        self._parsed: dict[str, NodeCatalogue] = {}

    async def known(self) -> Sequence[NodeCatalogue]:
        """Return the catalogues of live workers; if none is live, the one published last; empty
        if none is known.

        Raises:
            TableUnavailable: the list of catalogues cannot be read.
        """
        if not self._is_fresh:
            async with self._looking:  # many requests at once would each parse the same catalogue
                if not self._is_fresh:
                    await self._look()
        return self._known

    @property
    def _is_fresh(self) -> bool:
        at = self._looked_at
        within = LOOK_EVERY if self._known else LOOK_AGAIN
        return at is not None and is_recent(at, self._clock.now(), within=within)

    async def _look(self) -> None:
        now = self._clock.now()
        catalogues = [await self._read(each) for each in await self._which(now)]
        self._known = [catalogue for catalogue in catalogues if catalogue is not None]
        self._looked_at = now

    async def _which(self, now: datetime) -> Sequence[str]:
        live = [worker.catalogue for worker in await self._workers.live() if not worker.draining]
        named = sorted({catalogue for catalogue in live if catalogue is not None})
        if named:
            return named
        stored = await self._records.all()
        return [stored[0].id] if stored and now - stored[0].seen_at < KEPT else []

    async def _read(self, catalogue_id: str) -> NodeCatalogue | None:
        if catalogue_id in self._parsed:
            return self._parsed[catalogue_id]
        try:
            packed = [chunk async for chunk in self._assets.read(key_of(catalogue_id))]
            catalogue = await asyncio.to_thread(_unpacked, b"".join(packed), id=catalogue_id)
        except READ_ERRORS as unreadable:
            log.warning("catalogue_unreadable", catalogue=catalogue_id, reason=str(unreadable))
            return None  # an unreadable catalogue must not make requests fail
        while len(self._parsed) >= CACHED:
            self._parsed.pop(next(iter(self._parsed)))
        self._parsed[catalogue_id] = catalogue
        return catalogue


def _unpacked(packed: bytes, *, id: str) -> NodeCatalogue:
    return read_catalogue(read_entries(gzip.decompress(packed).decode()), id=id)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
