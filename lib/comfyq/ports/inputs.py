"""Ports for bringing a job's input files to ComfyUI."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from comfyq.domain.caller import TenantId
from comfyq.domain.files.inputs import InputFile


class Fetcher(Protocol):
    """Fetch files from servers that clients name by URL."""

    async def fetch(self, url: str, *, tenant: TenantId, kind: str, max_bytes: int) -> bytes:
        """Return the file at an http(s) URL that a tenant has named, of ``kind`` image, mask, video
        or audio.

        Raises:
            InputForbidden: the URL, or one that it redirects to, has a forbidden address.
            InputUnavailable: the fetch failed; ``passing`` says that trying again may help.
            InputInvalid: the file is larger, or of another content type.
        """
        ...


class Pictures(Protocol):
    """Decode untrusted pictures."""

    async def prepare(
        self, content: bytes, file: InputFile, *, begins: Callable[[], None] | None = None
    ) -> bytes:
        """Return the picture as a file that ComfyUI loads whole, fitted as ``file`` says: upright
        as PNG, but an animation or a TIFF with all of its frames, and greys of 16 bits as they are.

        ``begins`` is called once the picture's turn has come; others may be decoded before it.

        Raises:
            InputInvalid: the content is no picture, is broken, or has too many pixels.
        """
        ...


class InputFolder(Protocol):
    """ComfyUI's folder of input files."""

    async def upload(
        self, name: str, content: bytes | AsyncIterator[bytes], *, subfolder: str = ""
    ) -> str:
        """Store a file; return the name that graphs must use, which differs from ``name`` if
        another file of that name exists."""
        ...
