"""The files of a ``multipart/form-data`` body (RFC 7578), read while they arrive, and the texts
beside them."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from comfyq.domain.files.media_types import HEAD_BYTES

MAX_PARTS = 20
MAX_HEADERS = 8  # of a part
MAX_HEADER_BYTES = 4_096  # of one header
MAX_TEXT_BYTES = 1_000  # of a text beside a file; the rest of it is dropped
MAX_LONG_TEXT_BYTES = 48 * 1024  # of a text that is itself what a form is sent for

KeptT = TypeVar("KeptT")
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
    name: str = ""  # of its field


@dataclass(frozen=True, slots=True)
class Form(Generic[KeptT]):
    """A form that was read to its end, with what became of each of its files."""

    texts: Texts
    files: Mapping[str, Sequence[KeptT]]  # by the name of their field, in order


async def file_of(content_type: str, body: AsyncIterator[bytes]) -> FormFile:
    """Read ``body`` up to the content of its file; raises BadForm if there is none."""
    parts = _Parts(_boundary(content_type))
    pieces = _pieces(parts, body)
    async for piece in pieces:
        if isinstance(piece, _FileHead):
            content = _content(pieces, to_the_end=True)
            return FormFile(piece.filename, piece.content_type, content, parts.texts, piece.name)
    raise BadForm("the form has no file; send one")


async def form_of(
    content_type: str,
    body: AsyncIterator[bytes],
    *,
    keep: Callable[[FormFile], Awaitable[KeptT]],
) -> Form[KeptT]:
    """Read ``body`` to its end; each file is handed to ``keep`` while it arrives.

    Raises:
        BadForm: the form is broken, or a text of it is too long.
        And what ``keep`` raises.
    """
    parts = _Parts(_boundary(content_type), most_files=MAX_PARTS, is_text_whole=True)
    pieces = _pieces(parts, body)
    files: dict[str, list[KeptT]] = {}
    async for piece in pieces:
        if isinstance(piece, _FileHead):
            content = _content(pieces)
            file = FormFile(piece.filename, piece.content_type, content, parts.texts, piece.name)
            files.setdefault(piece.name, []).append(await keep(file))
            async for _ in content:
                pass  # of a file that was not read to its end
    return Form(parts.texts, files)


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


@dataclass(frozen=True, slots=True)
class _FileHead:
    """A file begins."""

    name: str
    filename: str
    content_type: str


_Piece = _FileHead | bytes | None
"""How a file begins, some of its content, or that it has ended."""


async def _pieces(parts: "_Parts", body: AsyncIterator[bytes]) -> AsyncIterator[_Piece]:
    async for chunk in body:
        parts.feed(chunk)
        for piece in parts.taken():
            yield piece
    parts.finish()


async def _content(
    pieces: AsyncIterator[_Piece], *, to_the_end: bool = False
) -> AsyncIterator[bytes]:
    """Yield the content of the file that has begun; ``to_the_end``: and read the rest of the body,
    where no other file can be."""
    async for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        elif not to_the_end:
            return


def _boundary(content_type: str) -> bytes:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise BadForm("its Content-Type names no boundary")
    return boundary


class _Parts:
    """Parses a form piece by piece; the files' content is kept until it is taken."""

    def __init__(
        self, boundary: bytes, *, most_files: int = 1, is_text_whole: bool = False
    ) -> None:
        """``is_text_whole``: texts may be long, and nothing of them is dropped."""
        self.texts: dict[str, list[str]] = {}
        self._files_left = most_files
        self._is_text_whole = is_text_whole
        self._pieces: list[_Piece] = []
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

    def taken(self) -> list[_Piece]:
        """Return what of files has arrived since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

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
        name = disposition.get(b"name", b"").decode(errors="replace")
        if filename is None:
            self._text_name = name
            return
        if not self._files_left:
            raise BadForm("it has more than one file; send one")
        self._in_file = True
        self._files_left -= 1
        head = _FileHead(name, filename.decode(errors="replace"), self._media_type())
        self._pieces.append(head)

    def _media_type(self) -> str:
        """Return the part's media type; another text could not be a header of answers."""
        media_type = parse_options_header(self._headers.get(b"content-type", b"text/plain"))[0]
        whole = MEDIA_TYPE.fullmatch(media_type)
        return media_type.decode() if whole else "application/octet-stream"

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])
            return
        most = MAX_LONG_TEXT_BYTES if self._is_text_whole else MAX_TEXT_BYTES
        if self._is_text_whole and len(self._text) + end - start > most:
            raise BadForm(f"its field `{self._text_name[:40]}` has over {most} bytes")
        self._text += data[start : min(end, start + most - len(self._text))]

    def _on_part_end(self) -> None:
        if self._in_file:
            self._pieces.append(None)
        if self._text_name:
            text = self._text.decode(errors="replace")
            self.texts.setdefault(self._text_name, []).append(text)

    def _on_end(self) -> None:
        self._ended = True
