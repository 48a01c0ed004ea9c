"""Every origin of models behind one port, with the operator's bounds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache

from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.source import ModelSource, S3Source, shown
from comfyq.ports.models.origins import ModelOrigins, ModelStream, ResolvedModel
from comfyq.services.models.pace import Pace


class BoundedOrigins:
    """Implements ports.models.origins.ModelOrigins: no file may have more than ``max_bytes``, and
    none comes faster than ``bytes_per_s``. ``s3`` makes what is asked for files in S3."""

    def __init__(
        self,
        *,
        http: ModelOrigins,
        s3: Callable[[], ModelOrigins],
        max_bytes: int,
        bytes_per_s: int | None = None,
    ) -> None:
        self._http = http
        self._s3 = cache(s3)
        self._max_bytes = max_bytes
        self._pace = Pace(bytes_per_s)

    async def resolve(self, source: ModelSource, file: str) -> ResolvedModel:
        resolved = await self._origin(source).resolve(source, file)
        self._check_size(source, resolved.size)
        return resolved

    @asynccontextmanager
    async def open(
        self,
        source: ModelSource,
        file: str,
        *,
        known: ResolvedModel,
        offset: int = 0,
        etag: str | None = None,
    ) -> AsyncIterator[ModelStream]:
        opened = self._origin(source).open(source, file, known=known, offset=offset, etag=etag)
        async with opened as stream:
            self._check_size(source, stream.size)
            yield replace(stream, chunks=self._paced(stream, source))

    def _origin(self, source: ModelSource) -> ModelOrigins:
        return self._s3() if isinstance(source, S3Source) else self._http

    async def _paced(self, stream: ModelStream, source: ModelSource) -> AsyncIterator[bytes]:
        clock, count = asyncio.get_running_loop().time, stream.offset
        async for chunk in stream.chunks:
            count += len(chunk)
            self._check_size(source, count)
            yield chunk
            delay_s = self._pace.delay_s(len(chunk), now_s=clock())
            if delay_s:
                await asyncio.sleep(delay_s)

    def _check_size(self, source: ModelSource, size: int | None) -> None:
        if size is not None and size > self._max_bytes:
            raise ModelRefused(
                f"{shown(source)} has {size} bytes or more, and COMFYQ_MODEL_MAX_BYTES allows "
                f"{self._max_bytes}"
            )
