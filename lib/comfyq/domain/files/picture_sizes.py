"""Sizes of pictures by their first bytes: before a file is stored, and long before one is decoded.

A JPEG has them behind whatever else its maker put there, so only the worker learns those.
"""

import struct

MAX_PIXELS = 64_000_000  # 8000 x 8000, of a picture that a job takes
HEAD_BYTES = 30
PNG = b"\x89PNG\r\n\x1a\n"
GIF = (b"GIF87a", b"GIF89a")


def size_of(head: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF, BMP or WebP; None of any other file, or if ``head``
    is too short."""
    if len(head) < HEAD_BYTES:
        return None
    if head.startswith(PNG) and head[12:16] == b"IHDR":
        return _two(">II", head, 16)
    if head.startswith(GIF):
        return _two("<HH", head, 6)
    if head.startswith(b"BM"):
        return _two("<ii", head, 18)
    return _of_webp(head) if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else None


def _of_webp(head: bytes) -> tuple[int, int] | None:
    """Read what the three kinds of WebP begin with: extended, lossless and lossy.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    match head[12:16]:
        case b"VP8X":
            return _number(head[24:27]) + 1, _number(head[27:30]) + 1
        case b"VP8L":
            bits = _number(head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = _two("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def _number(content: bytes) -> int:
    return int.from_bytes(content, "little")


def _two(form: str, head: bytes, at: int) -> tuple[int, int]:
    width, height = struct.unpack_from(form, head, at)
    return abs(width), abs(height)  # a BMP that is stored from above has a negative height
