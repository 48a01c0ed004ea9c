"""Ports for bringing a job's input files to ComfyUI."""

from collections.abc import AsyncIterator
from typing import Protocol

from comfyq.domain.files.inputs import InputFile


class Fetcher(Protocol):
    """Files of other people's servers."""

    async def fetch(self, url: str, *, kind: str, max_bytes: int) -> bytes:
        """The file at an http(s) URL, which is to be of ``kind`` (image, mask, video, audio).

        Raises:
            InputForbidden: it, or what it redirects to, is where nobody may be sent.
            InputUnavailable: it cannot be had; ``passing`` tells whether trying again may help.
            InputInvalid: it is larger, or says that it is something else.
        """
        ...


class Pictures(Protocol):
    """Decodes what other people call pictures."""

    async def prepare(self, content: bytes, file: InputFile) -> bytes:
        """The picture as a PNG file, upright and fitted as ``file`` says.

        Raises:
            InputInvalid: it is no picture, broken, or has too many pixels.
        """
        ...


class InputFolder(Protocol):
    """ComfyUI's folder of input files."""

    async def upload(
        self, name: str, content: bytes | AsyncIterator[bytes], *, subfolder: str = ""
    ) -> str:
        """Put a file there; the name that graphs must use, which is another where a different
        file of this name was there already."""
        ...
