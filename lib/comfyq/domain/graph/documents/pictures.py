"""Graphs in pictures that ComfyUI has saved: ``prompt`` (API format), ``workflow`` (the editor's).

PNG files have them in text chunks (https://www.w3.org/TR/png-3/#11textinfo), animated ones in
``comf`` chunks; WebP files in the EXIF tags Model and Make and those below it.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from comfyq.domain.graph.documents.errors import UnreadableDocument

PNG, RIFF, WEBP = b"\x89PNG\r\n\x1a\n", b"RIFF", b"WEBP"
NAMES = ("prompt", "workflow")
MAX_TEXT_BYTES = 6 * 1024 * 1024  # of all graphs of a picture together, unpacked
MAX_KEYWORD_BYTES = 80  # with the NUL behind it
MAX_NAME_BYTES = 9  # of a tag's text, with the colon behind it
MAX_CHUNKS = 100_000  # of one picture
MAX_TAGS = 1_000  # of its EXIF
ASCII = 2  # type of a tag
REMEDY = "save it with ComfyUI, without --disable-metadata, or send the graph as JSON"


def is_picture(content: bytes) -> bool:
    """Return whether the content is a PNG or WebP file."""
    return content.startswith(PNG) or (content[:4] == RIFF and content[8:12] == WEBP)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text in a picture, which is not copied or unpacked yet."""

    name: str
    content: memoryview
    encoding: str
    is_compressed: bool = False

    def read(self, most: int) -> tuple[str, int]:
        """Return the text and the bytes that it has; raises UnreadableDocument beyond ``most``."""
        content = _inflated(self.content, most + 1) if self.is_compressed else self.content
        if len(content) > most:
            raise UnreadableDocument(
                f"has graphs of over {MAX_TEXT_BYTES} bytes; send the graph alone, as JSON"
            )
        return str(content, self.encoding, "replace").rstrip("\0"), len(content)


def graphs_of_picture(content: bytes) -> dict[str, str]:
    """Return the JSON texts under ``prompt`` and ``workflow``, the first of each name.

    Raises:
        UnreadableDocument: there are none, or they are too large or broken.
    """
    graphs = _read(content, lambda name: name in NAMES)
    if not graphs:
        kind = "PNG" if content.startswith(PNG) else "WebP"
        raise UnreadableDocument(f"is a {kind} file without a graph in it; {REMEDY}")
    return graphs


def texts_of_picture(content: bytes) -> dict[str, str]:
    """Return all texts in a picture, the first of each name; other files have none.

    Raises:
        UnreadableDocument: they are too large or broken.
    """
    return _read(content, lambda name: True) if is_picture(content) else {}


def _read(content: bytes, wanted: Callable[[str], bool]) -> dict[str, str]:
    texts: dict[str, str] = {}
    left = MAX_TEXT_BYTES
    for text in _png_texts(content) if content.startswith(PNG) else _webp_texts(content):
        if wanted(text.name) and text.name not in texts:  # else many could name the same bytes
            texts[text.name], size = text.read(left)
            left -= size
    return texts


def _png_texts(content: bytes) -> Iterator[_Text]:
    at = len(PNG)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(content):
            return
        size, kind = struct.unpack_from(">I4s", content, at)
        if kind in _TEXTS:
            yield from _png_text(kind, content, at + 8, min(at + 8 + size, len(content)))
        at += size + 12


_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"comf"})


def _png_text(kind: bytes, content: bytes, at: int, end: int) -> Iterator[_Text]:
    behind = content.find(b"\0", at, min(at + MAX_KEYWORD_BYTES, end))
    name, at = content[at : max(behind, at)].decode("latin-1"), behind + 1
    view = memoryview(content)
    if kind == b"zTXt":
        yield _Text(name, view[at + 1 : end], "latin-1", is_compressed=True)
    elif kind != b"iTXt":
        yield _Text(name, view[at:end], "latin-1")
    else:
        is_compressed = content[at : at + 1] == b"\x01"
        at += 2
        for _ in range(2):  # a language and a keyword
            at = content.find(b"\0", at, end) + 1
            if not at:
                return
        yield _Text(name, view[at:end], "utf-8", is_compressed)


def _inflated(packed: memoryview, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error as wrong:
        raise UnreadableDocument(f"is a PNG file with a broken text ({wrong}); {REMEDY}") from None


def _webp_texts(content: bytes) -> Iterator[_Text]:
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(content):
            return
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"EXIF":
            yield from _exif_texts(content[at + 8 : at + 8 + size].removeprefix(b"Exif\0\0"))
        at += 8 + size + size % 2


def _exif_texts(exif: bytes) -> Iterator[_Text]:
    """Read texts such as ``prompt:{…}`` from the tags of a TIFF structure."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return
    (at,) = struct.unpack_from(order + "I", exif, 4)
    if at + 2 > len(exif):
        return
    (count,) = struct.unpack_from(order + "H", exif, at)
    for entry in range(at + 2, at + 2 + 12 * min(count, MAX_TAGS), 12):
        if entry + 12 > len(exif):
            return
        _, kind, size, offset = struct.unpack_from(order + "HHII", exif, entry)
        name, colon, _ = exif[offset : offset + min(size, MAX_NAME_BYTES)].partition(b":")
        if kind == ASCII and colon:
            text = memoryview(exif)[offset + len(name) + 1 : offset + size]
            yield _Text(name.decode("latin-1").lower(), text, "utf-8")
