"""The one file in a ``multipart/form-data`` body (RFC 7578), which is whole in memory."""

from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

MAX_PARTS = 20


class BadForm(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class FormFile:
    filename: str
    content_type: str
    content: bytes


def file_of(content_type: str, body: bytes) -> FormFile:
    """Return the one file of a form; raises BadForm if there is none or more than one."""
    parts = [_part(part) for part in _split(body, _boundary(content_type))]
    files = [file for file in parts if file is not None]
    if len(files) != 1:
        raise BadForm(f"the form has {len(files)} files; send one")
    return files[0]


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary or not boundary.isascii():
        raise BadForm("its Content-Type names no boundary")
    return boundary.encode()


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    delimiter = b"\r\n--" + boundary
    _preamble, *parts = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)
    ends = [at for at, part in enumerate(parts) if part.startswith(b"--")]
    if not ends:
        raise BadForm("the form is cut off, or not of the boundary that its Content-Type names")
    return parts[: ends[0]]


def _part(part: bytes) -> FormFile | None:
    """The file of a part; None for a plain field."""
    _, begun, rest = part.partition(b"\r\n")  # after the boundary there may be spaces
    head, separator, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if not begun or not separator:
        raise BadForm("a part of the form has no end of its headers")
    headers = HeaderParser().parsestr(head.lstrip(b"\r\n").decode(errors="replace"))
    filename = headers.get_filename()
    if filename is None:
        return None
    return FormFile(filename, headers.get_content_type(), content)
