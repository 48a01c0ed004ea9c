"""Fetching one file, as often as it is cut off, until it is whole."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from comfyq.aio.threads import in_thread_to_end
from comfyq.domain.models.errors import ModelPartRefused, ModelRefused, ModelUnavailable
from comfyq.domain.models.source import ModelSource
from comfyq.ports.models.origins import ModelOrigins, ModelStream, ResolvedModel
from comfyq.ports.models.store import ModelPart, StoredModel
from comfyq.services.models.retries import Retries, Sleep


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a file is."""

    file: str
    done: int  # bytes
    size: int | None  # bytes of the whole file; None: its origin does not tell


OnProgress = Callable[[FetchProgress], None]


@dataclass(slots=True)
class FileFetch:
    """One file on its way from an origin into a part, and then into the store."""

    origins: ModelOrigins
    part: ModelPart
    source: ModelSource
    file: str
    known: ResolvedModel
    on_progress: OnProgress
    went_on: bool = False  # with bytes of an earlier request, maybe of another file
    anew: bool = False  # the next request asks for the first byte

    async def run(self, sleep: Sleep) -> StoredModel:
        """Fetch the file, and return its hash; raises ModelError."""
        try:
            return await self._tried(sleep)
        except ModelRefused:
            if not self.went_on or self.part.offset:
                raise
        return await self._tried(sleep)  # once more, from the first byte

    async def _tried(self, sleep: Sleep) -> StoredModel:
        retries = Retries(sleep)
        while True:
            before = self.part.offset
            try:
                size = await self._go_on()
                finish = partial(self.part.finish, self.file, sha256=self.known.sha256, size=size)
                return await in_thread_to_end(finish)
            except ModelUnavailable as fault:
                self.anew = isinstance(fault, ModelPartRefused)
                await retries.wait(fault, progressed=self.part.offset > before)
            finally:
                await in_thread_to_end(self.part.keep)

    async def _go_on(self) -> int | None:
        """Fetch the rest of the file; return how many bytes the whole one has to have."""
        is_known_again = self.part.etag or self.known.sha256  # other bytes are noticed by either
        offset = self.part.offset if is_known_again and not self.anew else 0
        self.went_on = offset > 0
        if offset and offset == self.known.size:
            return self.known.size
        opened = self.origins.open(
            self.source, self.file, known=self.known, offset=offset, etag=self.part.etag
        )
        async with opened as stream:
            self.went_on = stream.offset > 0
            size = self._checked_size(stream)
            begin = partial(self.part.begin, offset=stream.offset, size=size, etag=stream.etag)
            await in_thread_to_end(begin)
            self.on_progress(FetchProgress(self.file, self.part.offset, size))
            async for chunk in stream.chunks:
                await in_thread_to_end(self.part.write, chunk)
                self.on_progress(FetchProgress(self.file, self.part.offset, size))
        if size is not None and self.part.offset < size:
            raise ModelUnavailable(
                f"{self.file}: its origin broke off after {self.part.offset} bytes"
            )
        return size

    def _checked_size(self, stream: ModelStream) -> int | None:
        size = self.known.size or stream.size
        if stream.size is not None and stream.size != size:
            raise ModelRefused(
                f"{self.file}: its origin has {stream.size} bytes, and the lock says {size}: lock "
                "it again if the new file is wanted"
            )
        if size is None and self.known.sha256 is None:
            raise ModelRefused(
                f"{self.file}: its origin does not tell its size, so that a file which broke off "
                "would look like a whole one"
            )
        return size
