"""Hugging Face: what stands at a revision of a repository, and where its bytes are.

``/resolve/`` answers a HEAD with the commit, and for files in LFS or Xet also with their SHA-256
and size, beside the redirect to where they are: https://huggingface.co/docs/hub/xet/file-id and
``get_hf_file_metadata`` of https://github.com/huggingface/huggingface_hub.
"""

from urllib.parse import quote

import aiohttp

from comfyq.adapters.fetching.models.session import OriginSession, check_status
from comfyq.domain.lock_format import SHA256
from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.lock import COMMIT
from comfyq.domain.models.source import HuggingFaceSource, shown
from comfyq.ports.models.origins import ResolvedModel

REDIRECTS = range(300, 400)


class HuggingFace:
    def __init__(self, session: OriginSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def resolve(self, source: HuggingFaceSource) -> ResolvedModel:
        url = self._address(source, source.revision)
        async with self._session.asked(url, method="HEAD", follows=_leads_on) as answer:
            if answer.status not in REDIRECTS:  # which is what files in LFS are answered with
                check_status(answer, shown(source))
            commit = answer.headers.get("X-Repo-Commit", "")
            digest = _hash(answer.headers.get("X-Linked-ETag", ""))
            size = answer.headers.get("X-Linked-Size", "")
        if not COMMIT.fullmatch(commit):
            raise ModelRefused(
                f"{shown(source)}: {answer.url.host} has not told its commit; is it a Hugging Face "
                "hub?"
            )
        # Small files of git itself have the hash of a blob there, which is no SHA-256.
        known = SHA256.fullmatch(digest) is not None
        length = int(size) if known and size.isascii() and size.isdigit() else None
        return ResolvedModel(sha256=digest if known else None, size=length, commit=commit)

    def address(self, source: HuggingFaceSource, commit: str | None) -> str:
        """Return the URL of the file's bytes at a commit."""
        return self._address(source, commit or source.revision)

    def _address(self, source: HuggingFaceSource, revision: str) -> str:
        path = quote(source.path)
        return f"{self._url}/{source.repository}/resolve/{quote(revision, safe='')}/{path}"


def _leads_on(answer: aiohttp.ClientResponse) -> bool:
    """Return whether a redirect is to a new name of the repository, and not to a file's bytes,
    wherever these are: there nobody knows of commits."""
    return "X-Linked-ETag" not in answer.headers


def _hash(etag: str) -> str:
    return etag.removeprefix("W/").strip('"').lower()
