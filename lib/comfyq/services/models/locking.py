"""Locking models: which bytes a source of a manifest stands for."""

from collections.abc import Collection

from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.formats import check_permitted
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import ModelSource, shown
from comfyq.ports.models.origins import ModelOrigins, ResolvedModel
from comfyq.services.models.fetching import ModelFetcher, size_of
from comfyq.services.models.file_fetch import OnProgress
from comfyq.services.models.retries import Sleep, tried


class ModelLocking:
    """Asks origins what stands at a source; a file of which no hash is told is fetched for it."""

    def __init__(
        self,
        *,
        origins: ModelOrigins,
        fetcher: ModelFetcher,
        pickles: Collection[str],
        sleep: Sleep,
    ) -> None:
        self._origins = origins
        self._fetcher = fetcher
        self._pickles = pickles
        self._sleep = sleep
        self._known: dict[tuple[ModelSource, str], LockedModel] = {}

    async def lock(
        self,
        source: ModelSource,
        *,
        folder: str,
        file: str,
        on_progress: OnProgress = lambda _: None,
    ) -> LockedModel:
        """Return the lock of a file; several workflows that name it get the same.

        Raises:
            ModelError: its origin has no such file, or does not tell.
        """
        key = (source, file)
        if key not in self._known:
            self._known[key] = await self._locked(source, folder, file, on_progress)
        known = self._known[key]
        return LockedModel(
            folder=folder,
            file=file,
            source=source,
            sha256=known.sha256,
            size=known.size,
            commit=known.commit,
        )

    async def _locked(
        self, source: ModelSource, folder: str, file: str, on_progress: OnProgress
    ) -> LockedModel:
        check_permitted(file, self._pickles)
        resolved = await tried(lambda: self._origins.resolve(source, file), self._sleep)
        sha256, size = resolved.sha256, resolved.size
        if sha256 is not None and size is None:
            size = await tried(lambda: size_of(self._origins, source, file, resolved), self._sleep)
        if sha256 is None or size is None:
            known = ResolvedModel(sha256=sha256, commit=resolved.commit)
            stored = await self._fetcher.take(source, file, known, on_progress)
            sha256, size = stored.sha256, stored.size
        if not size:
            raise ModelRefused(f"{shown(source)} is an empty file")
        return LockedModel(
            folder=folder,
            file=file,
            source=source,
            sha256=sha256,
            size=size,
            commit=resolved.commit,
        )
