"""Cursors in URLs: opaque, with a checksum, so that a damaged one is refused."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated
from zlib import crc32

from fastapi import Query

from comfyq.domain.errors import FieldError, InvalidCursor
from comfyq.ports.table import Cursor

MAX_CHARS = 1_000

CursorInQuery = Annotated[
    str | None,
    Query(
        description="`next_cursor` of a page; leave it out for the first page.",
        json_schema_extra={"minLength": 1, "maxLength": MAX_CHARS, "format": "cursor"},
    ),
]


def encode_cursor(cursor: Cursor) -> str:
    parts = list(cursor)
    return urlsafe_b64encode(json.dumps([*parts, _checksum(parts)]).encode()).decode()


def decode_cursor(text: str) -> Cursor:
    """Decode a cursor; raises InvalidCursor unless ``encode_cursor`` made it."""
    try:
        *parts, checksum = json.loads(urlsafe_b64decode(text[:MAX_CHARS]))
        cursor = Cursor(*parts)
    except (ValueError, TypeError, RecursionError):
        raise _invalid() from None
    if checksum != _checksum(parts) or encode_cursor(cursor) != text:
        raise _invalid()
    if not all(isinstance(part, str) and part and part.isprintable() for part in parts):
        raise _invalid()  # a checksum can be forged
    return cursor


def _checksum(parts: list[str]) -> int:
    return crc32(json.dumps(parts).encode())


def _invalid() -> InvalidCursor:
    message = "is not a cursor that this server gave; begin again without one"
    return InvalidCursor(f"cursor: {message}", [FieldError("cursor", message)])
