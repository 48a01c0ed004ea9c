"""The one file of a ``multipart/form-data`` body (RFC 7578), read while it arrives, and the texts
beside it."""

import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from comfyq.domain.files.media_types import HEAD_BYTES

MAX_PARTS = 20
MAX_HEADERS = 8  # of a part
MAX_HEADER_BYTES = 4_096  # of one header
MAX_TEXT_BYTES = 1_000  # of a text that is kept; the rest of it is dropped

Texts = Mapping[str, Sequence[str]]
"""name of a field -> its texts, in order"""

# It warns of each broken form; the answer to the request says the same.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # noqa: TID251 - a library's

MEDIA_TYPE = re.compile(rb"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)


class BadForm(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file whose content is still arriving.

    Iterating ``chunks`` reads the body to its end. It raises BadForm if the form is broken or has
    another file, so nothing may be done with the content before. Fields may stand behind the file:
    ``texts`` has all of them when the body has been read.
    """

    filename: str
    content_type: str
    chunks: AsyncIterator[bytes]
    texts: Texts


async def file_of(content_type: str, body: AsyncIterator[bytes]) -> FormFile:
    """Read ``body`` up to the content of its file; raises BadForm if there is none."""
    parts = _Parts(_boundary(content_type))
    async for chunk in body:
        parts.feed(chunk)
        if parts.file is not None:
            filename, media_type = parts.file
            return FormFile(filename, media_type, _content(parts, body), parts.texts)
    parts.finish()
    raise BadForm("the form has no file; send one")


async def headed(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return how a file begins, as its type shows by, and all of it; nothing for an empty one."""
    head = b""
    while len(head) < HEAD_BYTES and (chunk := await anext(chunks, None)) is not None:
        head += chunk

    async def whole() -> AsyncIterator[bytes]:
        yield head
        async for chunk in chunks:
            yield chunk

    return head, whole()


async def _content(parts: "_Parts", body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for piece in parts.taken():
        yield piece
    async for chunk in body:
        parts.feed(chunk)
        for piece in parts.taken():
            yield piece
    parts.finish()


def _boundary(content_type: str) -> bytes:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise BadForm("its Content-Type names no boundary")
    return boundary


class _Parts:
    """Parses a form piece by piece; the file's content is kept until it is taken."""

    def __init__(self, boundary: bytes) -> None:
        self.file: tuple[str, str] | None = None  # its name and media type
        self.texts: dict[str, list[str]] = {}
        self._content: list[bytes] = []
        self._in_file = False
        self._text_name = ""
        self._text = b""
        self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part,
                    "on_header_begin": self._on_header,
                    "on_header_field": self._on_name,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise BadForm(str(error)) from error

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes of the body; raises BadForm."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadForm(str(error)) from error

    def taken(self) -> list[bytes]:
        """Return the content that has arrived since the last call."""
        content, self._content = self._content, []
        return content

    def finish(self) -> None:
        """Raise BadForm if the body ended before the form did."""
        if not self._ended:
            raise BadForm("it is cut off, or has another boundary than its Content-Type says")

    def _on_part(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise BadForm(f"it has more than {MAX_PARTS} parts")
        self._headers, self._in_file = {}, False
        self._text_name, self._text = "", b""

    def _on_header(self) -> None:
        self._name = self._value = b""

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value

    def _on_headers(self) -> None:
        disposition = parse_options_header(self._headers.get(b"content-disposition"))[1]
        filename = disposition.get(b"filename")
        if filename is None:
            self._text_name = disposition.get(b"name", b"").decode(errors="replace")
            return
        if self.file is not None:
            raise BadForm("it has more than one file; send one")
        self._in_file = True
        self.file = filename.decode(errors="replace"), self._media_type()

    def _media_type(self) -> str:
        """Return the part's media type; another text could not be a header of answers."""
        media_type = parse_options_header(self._headers.get(b"content-type", b"text/plain"))[0]
        whole = MEDIA_TYPE.fullmatch(media_type)
        return media_type.decode() if whole else "application/octet-stream"

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._content.append(data[start:end])
        else:
            self._text += data[start : min(end, start + MAX_TEXT_BYTES - len(self._text))]

    def _on_part_end(self) -> None:
        if self._text_name:
            text = self._text.decode(errors="replace")
            self.texts.setdefault(self._text_name, []).append(text)

    def _on_end(self) -> None:
        self._ended = True
