"""Adding a text chunk to PNG files while they are streamed, without decoding their pixels.

See https://www.w3.org/TR/png-3/#11tEXt
"""

import struct
from collections.abc import AsyncIterator
from zlib import crc32

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", crc32(b"IEND"))
KEYWORD = b"comfyq"


async def marked(chunks: AsyncIterator[bytes], text: str) -> AsyncIterator[bytes]:
    """Stream a file's bytes; a PNG gets ``text`` (ASCII) in a tEXt chunk before its end."""
    head, held = b"", b""
    async for chunk in chunks:
        head += chunk[: len(SIGNATURE) - len(head)]
        held += chunk
        if len(held) > len(END):
            yield held[: -len(END)]
            held = held[-len(END) :]
    if head == SIGNATURE and held == END:
        yield text_chunk(text)
    yield held


def text_chunk(text: str) -> bytes:
    body = b"tEXt" + KEYWORD + b"\0" + text.encode("ascii")
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", crc32(body))
