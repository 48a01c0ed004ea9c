"""The node classes of all live workers as ComfyUI's ``GET /object_info`` tells them.

What is stored of them is without prose, and without the names of files that jobs have brought.
"""

import asyncio
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from comfyq.aio.logs import log
from comfyq.domain.errors import AssetsUnavailable, OutputNotFound
from comfyq.domain.graph.json_entries import read_entries
from comfyq.ports.assets import Assets
from comfyq.records.catalogues import key_of
from comfyq.services.workflows.node_catalogues import KnownCatalogues

READ_ERRORS = (OutputNotFound, AssetsUnavailable, OSError, EOFError, zlib.error, ValueError)
PROSE = {"description": "", "category": ""}  # that programs expect to be there


class ObjectInfo:
    """Of a class that several workers have, the first catalogue's is told."""

    def __init__(self, *, catalogues: KnownCatalogues, assets: Assets) -> None:
        self._catalogues = catalogues
        self._assets = assets
        self._read: tuple[Sequence[str], Mapping[str, bytes]] = ([], {})

    async def classes(self) -> Mapping[str, bytes]:
        """Return the JSON of each class by its name; empty while no worker is known."""
        ids = [each.id for each in await self._catalogues.known()]
        known, classes = self._read
        if known != ids:
            packed = [content for each in ids if (content := await self._packed(each)) is not None]
            classes = await asyncio.to_thread(_classes, packed)  # of megabytes
            if len(packed) == len(ids):
                self._read = ids, classes
        return classes

    async def _packed(self, catalogue_id: str) -> bytes | None:
        try:
            chunks = [chunk async for chunk in self._assets.read(key_of(catalogue_id))]
        except READ_ERRORS as unreadable:
            log.warning("catalogue_unreadable", catalogue=catalogue_id, reason=str(unreadable))
            return None
        return b"".join(chunks)


def _classes(packed: Sequence[bytes]) -> Mapping[str, bytes]:
    classes: dict[str, bytes] = {}
    for content in packed:
        for name, entry in read_entries(gzip.decompress(content).decode()).items():
            if name not in classes:
                classes[name] = json.dumps(_whole(name, entry)).encode()
    return classes


def _whole(name: str, entry: Any) -> Any:
    """Put something in the place of prose that was left out."""
    if not isinstance(entry, Mapping):
        return entry
    return {"name": name, "display_name": name, **PROSE, **entry}
