"""Pictures that the clients send."""

import struct
import zlib


def png(colour: tuple[int, ...]) -> bytes:
    """Return a picture of 64 by 64 pixels of one colour, with three channels or four."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checked)

    kind = {3: 2, 4: 6}[len(colour)]
    head = struct.pack(">IIBBBBB", 64, 64, 8, kind, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * 64) * 64
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
