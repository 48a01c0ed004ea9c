"""The size that a WebP file declares, read from its first chunk.

https://developers.google.com/speed/webp/docs/riff_container
"""

CHUNK = 12  # the offset of the first chunk, behind "RIFF", a size and "WEBP"
DATA = CHUNK + 8  # behind the chunk's own name and size


def webp_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height; None if this is no WebP, or too damaged to tell."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < DATA + 5:
        return None
    kind, data = content[CHUNK : CHUNK + 4], content[DATA : DATA + 10]
    if kind == b"VP8X" and len(data) == 10:  # extended: 24 bits each
        return _little(data[4:7]) + 1, _little(data[7:10]) + 1
    if kind == b"VP8L" and data[:1] == b"\x2f":  # lossless: 14 bits each
        bits = _little(data[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a" and len(data) == 10:  # lossy
        return _little(data[6:8]) & 0x3FFF, _little(data[8:10]) & 0x3FFF
    return None


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
