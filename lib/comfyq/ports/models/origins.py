"""Port for the servers that models come from."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from comfyq.domain.models.source import ModelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """What an origin tells of a file before it is fetched; None: it does not tell."""

    sha256: str | None = None
    size: int | None = None  # bytes
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStream:
    """The bytes of a file from ``offset`` on."""

    offset: int  # 0 if the origin began anew
    size: int | None  # of the whole file
    etag: str | None  # by which the origin knows these bytes again; None: it does not
    chunks: AsyncIterator[bytes]


class ModelOrigins(Protocol):
    """Every method raises ModelRefused, ModelUnauthorized or ModelUnavailable."""

    async def resolve(self, source: ModelSource, file: str) -> ResolvedModel:
        """Ask what stands at a source now; ``file`` is what the graph calls it."""
        ...

    def open(
        self,
        source: ModelSource,
        file: str,
        *,
        known: ResolvedModel,
        offset: int = 0,
        etag: str | None = None,
    ) -> AbstractAsyncContextManager[ModelStream]:
        """Open the file that ``known`` describes, at ``offset`` if it is still that of ``etag``.

        Raises:
            ModelPartRefused: it cannot be had from there on.
        """
        ...
