"""Civitai: the files of a version of a model, with their hashes.

https://developer.civitai.com/site/reference/model-versions
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from comfyq.adapters.fetching.models.session import OriginSession, check_status, in_words
from comfyq.domain.lock_format import SHA256
from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.source import CivitaiSource
from comfyq.ports.models.origins import ResolvedModel

MAX_BYTES = 4 * 2**20  # of a version's description
CHUNK_BYTES = 64 * 2**10
File = Mapping[str, Any]


class Civitai:
    def __init__(self, session: OriginSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def resolve(self, source: CivitaiSource, file: str) -> ResolvedModel:
        """Ask for the hash of the file called ``file``, or else of the version's primary one; the
        size that Civitai tells is rounded."""
        chosen = _named(await self._files(source), source, file)
        return ResolvedModel(sha256=_sha256(chosen))

    async def address(self, source: CivitaiSource, file: str, sha256: str | None) -> str:
        """Return the URL of a file's bytes: of the one with the hash, if it is known."""
        files = await self._files(source)
        if sha256 is None:
            return str(_named(files, source, file)["downloadUrl"])
        same = [each for each in files if _sha256(each) == sha256]
        if not same:
            raise ModelRefused(
                f"{source} has no file of the SHA-256 {sha256} any more: see its page, and lock it "
                "again"
            )
        return str(same[0]["downloadUrl"])

    async def _files(self, source: CivitaiSource) -> Sequence[File]:
        url = f"{self._url}/api/v1/model-versions/{source.version}"
        async with self._session.asked(url) as answer:
            check_status(answer, str(source))
            host, content = answer.url.host or "", bytearray()
            with in_words(host):
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    content += chunk
                    if len(content) > MAX_BYTES:
                        raise ModelRefused(
                            f"{source}: {host} tells more of it than {MAX_BYTES} bytes; is it "
                            "Civitai?"
                        )
        try:
            files = json.loads(content)["files"]
            offered = [each for each in files if isinstance(each["downloadUrl"], str)]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ModelRefused(f"{source}: {host} has not told its files; is it Civitai?") from None
        if not offered:
            raise ModelRefused(f"{source} has no file that is offered for download")
        return offered


def _named(files: Sequence[File], source: CivitaiSource, file: str) -> File:
    name = file.rsplit("/", 1)[-1]
    same = [each for each in files if each.get("name") == name]
    chosen = [*same, *(each for each in files if each.get("primary")), *files[:1]][0]
    ending = name.rpartition(".")[2]
    if str(chosen.get("name")).rpartition(".")[2] != ending:
        names = ", ".join(str(each.get("name")) for each in files)[:1_000]
        raise ModelRefused(
            f"{source} has no file that is certain to be {name}; call it as one of these: {names}"
        )
    return chosen


def _sha256(file: File) -> str | None:
    hashes = file.get("hashes")
    told = hashes.get("SHA256") if isinstance(hashes, Mapping) else None
    digest = told.lower() if isinstance(told, str) else ""
    return digest if SHA256.fullmatch(digest) else None
