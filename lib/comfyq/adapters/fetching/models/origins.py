"""Origins of models that are asked over HTTP."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from comfyq.adapters.fetching.models.civitai import Civitai
from comfyq.adapters.fetching.models.hugging_face import HuggingFace
from comfyq.adapters.fetching.models.session import OriginSession, check_status, in_words
from comfyq.domain.models.errors import ModelPartRefused, ModelRefused
from comfyq.domain.models.source import (
    CivitaiSource,
    HuggingFaceSource,
    ModelSource,
    S3Source,
    UrlSource,
    shown,
)
from comfyq.ports.models.origins import ModelStream, ResolvedModel

CHUNK_BYTES = 2**20
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
PAGES = ("text/html", "application/xhtml+xml")
ALL_THERE = 416  # a range that begins where the file ends


class HttpOrigins:
    """Implements ports.models.origins.ModelOrigins for what is asked over HTTP."""

    def __init__(
        self,
        session: OriginSession,
        *,
        hugging_face: HuggingFace,
        civitai: Civitai,
    ) -> None:
        self._session = session
        self._hugging_face = hugging_face
        self._civitai = civitai

    async def resolve(self, source: ModelSource, file: str) -> ResolvedModel:
        match source:
            case HuggingFaceSource():
                return await self._hugging_face.resolve(source)
            case CivitaiSource():
                return await self._civitai.resolve(source, file)
            case UrlSource() | S3Source():
                return ResolvedModel()  # whose hash is known when it has been fetched

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
        url = await self._address(source, file, known)
        headers = {}
        if offset:
            headers = {"Range": f"bytes={offset}-"} | ({"If-Range": etag} if etag else {})
        async with self._session.asked(url, headers=headers) as answer:
            if answer.status == ALL_THERE:
                raise ModelPartRefused(f"{shown(source)}: what was fetched of it is no part of it")
            check_status(answer, shown(source))
            begin, size = _extent(answer, source, wanted=offset)
            yield ModelStream(
                offset=begin,
                size=size,
                etag=_strong(answer.headers.get("ETag")),
                chunks=_chunks(answer),
            )

    async def _address(self, source: ModelSource, file: str, known: ResolvedModel) -> str:
        match source:
            case HuggingFaceSource():
                return self._hugging_face.address(source, known.commit)
            case CivitaiSource():
                return await self._civitai.address(source, file, known.sha256)
            case UrlSource():
                return source.url
            case S3Source():
                raise AssertionError("S3 is another origin")


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while True:
        with in_words(answer.url.host or ""):
            chunk = await answer.content.read(CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


def _extent(
    answer: aiohttp.ClientResponse, source: ModelSource, *, wanted: int
) -> tuple[int, int | None]:
    """Return where the answer's bytes begin, and how many the whole file has; raises
    ModelRefused."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    host = answer.url.authority
    if kind in PAGES:
        raise ModelRefused(
            f"{shown(source)}: {host} answers with a web page instead of the file. Either this "
            f"is the address of a page, or it wants a sign-in: set COMFYQ_MODEL_TOKENS={host}=TOKEN"
        )
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise ModelRefused(f"{shown(source)}: {host} compresses it, which was not asked for")
    if answer.status != 206:
        return 0, answer.content_length
    part = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if part is None or int(part[1]) != wanted:
        raise ModelPartRefused(f"{shown(source)}: {host} sends another part than was asked for")
    return wanted, None if part[2] == "*" else int(part[2])


def _strong(etag: str | None) -> str | None:
    """Return a tag that stands for the very bytes (RFC 9110, 8.8.1)."""
    return etag if etag and etag.startswith('"') else None
