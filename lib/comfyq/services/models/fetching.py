"""Bringing model files to this machine: whole and checked, or not at all."""

import asyncio
import hashlib
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial

from comfyq.aio.threads import in_thread, in_thread_to_end
from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.formats import check_permitted
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import ModelSource
from comfyq.ports.models.origins import ModelOrigins, ResolvedModel
from comfyq.ports.models.store import ModelPart, ModelState, ModelStore, PartHeld, StoredModel
from comfyq.services.models.file_fetch import FileFetch, OnProgress
from comfyq.services.models.retries import Sleep

POLL_S = 0.5  # between two looks at a file that another process fetches


class ModelFetcher:
    """Fetches what the store lacks. ``pickles`` are the files that may run code and that the
    operator has named."""

    def __init__(
        self,
        *,
        origins: ModelOrigins,
        store: ModelStore,
        pickles: Collection[str] = (),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._origins = origins
        self._store = store
        self._pickles = pickles
        self._sleep = sleep

    async def bring(
        self, model: LockedModel, on_progress: OnProgress = lambda _: None
    ) -> ModelState:
        """Make ComfyUI find a locked file; return how it was before.

        Raises:
            ModelError: the file cannot be had; nothing that ComfyUI sees has changed.
        """
        check_permitted(model.file, self._pickles)
        before, _ = await in_thread(self._store.state, model)
        if before is ModelState.READY:
            return before
        if before is ModelState.OTHER:
            await in_thread(self._store.adopt, model)
            state, _ = await in_thread(self._store.state, model)
            if state is not ModelState.READY:
                raise ModelRefused(
                    f"{model.path}: another file of this name stands there, of other bytes than "
                    "the lock says; move it away"
                )
            return before
        known = ResolvedModel(sha256=model.sha256, size=model.size, commit=model.commit)
        link = partial(self._store.link, model)
        await self.take(model.source, model.file, known, on_progress, link=link)
        return before

    async def take(
        self,
        source: ModelSource,
        file: str,
        known: ResolvedModel,
        on_progress: OnProgress = lambda _: None,
        *,
        link: Callable[[], None] | None = None,
    ) -> StoredModel:
        """Bring a file into the store, and return its hash; raises ModelError. ``link`` is done
        while nobody may delete it."""
        check_permitted(file, self._pickles)
        key = known.sha256 or f"source-{hashlib.sha256(str((source, known)).encode()).hexdigest()}"
        while True:
            with ExitStack() as stack:
                part = await self._part(stack, key)
                stored = await self._stored(known)
                if part is not None:
                    if stored is None:
                        fetch = FileFetch(self._origins, part, source, file, known, on_progress)
                        stored = await fetch.run(self._sleep)
                    if link is not None:
                        await in_thread_to_end(link)
                    return stored
                if stored is not None and link is None:
                    return stored
            await self._sleep(POLL_S)

    async def _part(self, stack: ExitStack, key: str) -> ModelPart | None:
        """Open the part of a file until ``stack`` ends; None while another process fetches or
        deletes it."""
        opened = self._store.part(key)
        try:
            return await in_thread_to_end(lambda: stack.enter_context(opened))
        except PartHeld:
            return None

    async def _stored(self, known: ResolvedModel) -> StoredModel | None:
        """Return a file that another process may have brought meanwhile."""
        sha256, size = known.sha256, known.size
        if sha256 is None or size is None:
            return None
        is_held = await in_thread(self._store.holds, sha256, size)
        return StoredModel(sha256, size) if is_held else None


async def size_of(
    origins: ModelOrigins, source: ModelSource, file: str, known: ResolvedModel
) -> int | None:
    """Return what an origin says of a file's size when it is about to send it."""
    async with origins.open(source, file, known=known) as stream:
        return stream.size
