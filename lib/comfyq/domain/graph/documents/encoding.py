"""Reading a file that a graph may be in: JSON in any Unicode encoding, or a saved picture."""

import json
from typing import Any

from comfyq.domain.graph.documents.errors import UnreadableDocument
from comfyq.domain.graph.documents.pictures import graphs_of_picture, is_picture

MAX_TEXT_BYTES = 6 * 1024 * 1024  # of JSON; more than a request's body may have
MAX_DEPTH = 32  # of nested lists and objects; a graph has 4, an editor file about 10
OTHERS = {  # first bytes -> what such a file is
    b"\xff\xd8\xff": "a JPEG, in which ComfyUI keeps no graph",
    b"GIF8": "a GIF, in which ComfyUI keeps no graph",
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"\x1f\x8b": "a gzip file; unpack it",
}
SEND = "send a graph as JSON, or a PNG or WebP that ComfyUI has saved"


def read_content(content: bytes) -> Any:
    """Return the JSON value in a file; of a picture, an object of the graphs in it by name.

    Raises:
        UnreadableDocument: there is no JSON in it.
    """
    if is_picture(content):
        return {name: read_text(text) for name, text in graphs_of_picture(content).items()}
    for first, kind in OTHERS.items():
        if content.startswith(first):
            raise UnreadableDocument(f"is {kind}; {SEND}")
    return read_text(decoded(content))


def decoded(content: bytes) -> str:
    """Decode text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark."""
    if len(content) > MAX_TEXT_BYTES:
        raise UnreadableDocument(f"has {len(content)} bytes; the most is {MAX_TEXT_BYTES}")
    try:
        return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError as wrong:
        raise UnreadableDocument(
            f"is not text in UTF-8 or UTF-16 ({wrong.reason} at byte {wrong.start}); {SEND}"
        ) from None


def read_text(text: str) -> Any:
    """Parse JSON, as ComfyUI writes it: NaN and Infinity may stand for numbers.

    Raises:
        UnreadableDocument: it is not JSON, or nested too deep.
    """
    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise UnreadableDocument(f"is nested over {MAX_DEPTH} levels deep") from None
    except ValueError as wrong:
        raise UnreadableDocument(f"is not JSON: {wrong}; {SEND}") from None
    if depth_exceeds(value, MAX_DEPTH):
        raise UnreadableDocument(f"is nested over {MAX_DEPTH} levels deep")
    return value


def depth_exceeds(value: Any, limit: int) -> bool:
    """Return whether values are nested deeper; later steps recurse, this one does not."""
    level = [value]
    for _ in range(limit + 1):
        level = [below for outer in level for below in _below(outer)]
        if not level:
            return False
    return True


def _below(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
