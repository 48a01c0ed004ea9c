"""Node catalogues: published by each worker, read when jobs are admitted."""

import asyncio
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from comfyq.aio.chunks import once
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
        fetches: bool = False,
    ) -> None:
        self._fetches = fetches  # models that are locked and that this ComfyUI does not list
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
        await self._records.note(Published(catalogue_id, self._clock.now(), self._fetches))
        return catalogue_id

    async def _store(self, catalogue_id: str, essential: bytes) -> None:
        packed = await asyncio.to_thread(gzip.compress, essential, mtime=0)
        spooled = await self._spool.save(f"{catalogue_id}.json.gz", once(packed))
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
        which = await self._which(now)
        known = {each: await self._read(each) for each in sorted(which)}
        self._known = [
            replace(catalogue, fetches=True) if which[each] else catalogue
            for each, catalogue in known.items()
            if catalogue is not None
        ]
        self._looked_at = now

    async def _which(self, now: datetime) -> Mapping[str, bool]:
        """Return the ids of catalogues, and whether a worker that has it fetches models."""
        live = [each for each in await self._workers.live() if not each.draining]
        named: dict[str, bool] = {}
        for worker in live:
            if worker.catalogue is not None:
                named[worker.catalogue] = worker.fetches or named.get(worker.catalogue, False)
        if named:
            return named
        last = next(iter(await self._records.all()), None)
        return {} if last is None or now - last.seen_at >= KEPT else {last.id: last.fetches}

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
