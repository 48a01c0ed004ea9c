"""Graphs in pictures that ComfyUI has saved: ``prompt`` (API format), ``workflow`` (the editor's).

PNG files have them in text chunks (https://www.w3.org/TR/png-3/#11textinfo), animated ones in
``comf`` chunks; WebP files in the EXIF tags Model and Make and those below it.
"""

import struct
import zlib
from collections.abc import Iterator

from comfyq.domain.graph.documents.errors import UnreadableDocument

PNG, RIFF, WEBP = b"\x89PNG\r\n\x1a\n", b"RIFF", b"WEBP"
NAMES = ("prompt", "workflow")
MAX_TEXT_BYTES = 6 * 1024 * 1024
MAX_CHUNKS = 100_000  # of one picture
MAX_TAGS = 1_000  # of its EXIF
ASCII = 2  # type of a tag
REMEDY = "save it with ComfyUI, without --disable-metadata, or send the graph as JSON"


def is_picture(content: bytes) -> bool:
    """Return whether the content is a PNG or WebP file."""
    return content.startswith(PNG) or (content[:4] == RIFF and content[8:12] == WEBP)


def graphs_of_picture(content: bytes) -> dict[str, str]:
    """Return the JSON texts under ``prompt`` and ``workflow``; raises UnreadableDocument."""
    is_png = content.startswith(PNG)
    texts = _png_texts(content) if is_png else _webp_texts(content)
    graphs: dict[str, str] = {}
    for name, text in texts:
        if name in NAMES:
            graphs.setdefault(name, text)
    if not graphs:
        raise UnreadableDocument(
            f"is a {'PNG' if is_png else 'WebP'} file without a graph in it; {REMEDY}"
        )
    return graphs


def _png_texts(content: bytes) -> Iterator[tuple[str, str]]:
    at = len(PNG)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(content):
            return
        size, kind = struct.unpack_from(">I4s", content, at)
        text = _png_text(kind, content[at + 8 : at + 8 + size]) if kind in _TEXTS else None
        if text is not None:
            yield text
        at += size + 12


_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"comf"})


def _png_text(kind: bytes, body: bytes) -> tuple[str, str] | None:
    keyword, _, rest = body.partition(b"\0")
    name = keyword.decode("latin-1")
    if name not in NAMES:
        return None
    if kind == b"zTXt":
        return name, _inflated(rest[1:]).decode("latin-1")
    if kind != b"iTXt":
        return name, rest.decode("latin-1")
    is_compressed = rest[:1] == b"\x01"
    _, _, text = rest[2:].partition(b"\0")[2].partition(b"\0")  # behind a language and a keyword
    return name, (_inflated(text) if is_compressed else text).decode("utf-8", "replace")


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(packed, MAX_TEXT_BYTES)
    except zlib.error as wrong:
        raise UnreadableDocument(f"is a PNG file with a broken text ({wrong}); {REMEDY}") from None
    if inflater.unconsumed_tail:
        raise UnreadableDocument(f"has a text of over {MAX_TEXT_BYTES} bytes")
    return text


def _webp_texts(content: bytes) -> Iterator[tuple[str, str]]:
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(content):
            return
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"EXIF":
            yield from _exif_texts(content[at + 8 : at + 8 + size].removeprefix(b"Exif\0\0"))
        at += 8 + size + size % 2


def _exif_texts(exif: bytes) -> Iterator[tuple[str, str]]:
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
        if kind == ASCII and size > 4:
            text = exif[offset : offset + size].rstrip(b"\0").decode("utf-8", "replace")
            name, _, value = text.partition(":")
            yield name.lower(), value
