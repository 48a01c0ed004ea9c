"""What ComfyUI saves in pictures beside the graph, so that they open in the editor."""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from comfyq.domain.errors import FieldError, InvalidGraph, TooLarge
from comfyq.domain.files.sources import is_data, without_secrets
from comfyq.domain.graph.documents.document import Document

MAX_BYTES = 1024 * 1024
MAX_PACKED_BYTES = 64 * 1024  # stored beside a graph of up to 256 KB in an item of 350 KB
MAX_SHOWN_CHARS = 200  # of a data URI
HALF = "\\ud"  # begins each half of a pair in JSON; without the other one no answer can have it


def kept_pnginfo(document: Document) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return what to keep of a document's ``extra_pnginfo``, with warnings of what is not.

    Raises:
        InvalidGraph: it has numbers or text that JSON cannot have.
        TooLarge: a client's own is too large; an editor file is left out instead.
    """
    if not document.pnginfo:
        return {}, ()
    shown = _shown(document.pnginfo)
    text = _encoded(shown)
    if len(text) <= MAX_BYTES and len(_compressed(text)) <= MAX_PACKED_BYTES:
        return shown, ()
    limit = f"it has {len(text)} bytes; the most is {MAX_BYTES}, and {MAX_PACKED_BYTES} compressed"
    if document.editor is None:
        raise TooLarge(f"extra_data.extra_pnginfo: {limit}")
    return {}, (f"the editor file is not saved in pictures: {limit}",)


def packed(pnginfo: Mapping[str, Any]) -> str:
    """Compress for storage."""
    return _compressed(_encoded(pnginfo))


def _compressed(text: str) -> str:
    return b64encode(zlib.compress(text.encode(), 6)).decode()


def _encoded(pnginfo: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(pnginfo, separators=(",", ":"), allow_nan=False)
        if HALF in text:
            json.dumps(pnginfo, ensure_ascii=False).encode()
    except ValueError:
        message = "has a number that is not finite, or text that is not Unicode"
        field = "extra_data.extra_pnginfo"
        raise InvalidGraph(f"{field}: {message}", [FieldError(field, message)]) from None
    return text


def unpacked(text: str) -> Mapping[str, Any]:
    pnginfo: dict[str, Any] = json.loads(zlib.decompress(b64decode(text)))
    return pnginfo


def _shown(value: Any) -> Any:
    """Cut off what of a URL may be secret, and the content of data URIs: pictures are shared."""
    match value:
        case dict():
            return {key: _shown(below) for key, below in value.items()}
        case list():
            return [_shown(below) for below in value]
        case str() if is_data(value):
            return value[:MAX_SHOWN_CHARS]
        case str():
            return without_secrets(value)
        case _:
            return value
