"""Documents that cost much for their size: pictures that repeat themselves, editor files."""

import struct
import zlib
from base64 import b64encode
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n"
UNPACKED = zlib.compress(b" " * (6 * 1024 * 1024 - 1), 9)


def data_uri(content: bytes, kind: str) -> dict[str, Any]:
    return {"graph": f"data:image/{kind};base64," + b64encode(content).decode()}


def repeated_tags(chars: int, *, start: bytes = b"prompt:", tags: int = 1_000) -> dict[str, Any]:
    """A WebP file of which all tags name the same text."""
    text = start + b"\xff" * (chars * 3 // 4 - 12 * tags)
    table = struct.pack("<HHII", 0x110, 2, len(text), 10 + 12 * tags) * tags
    exif = b"II*\0" + struct.pack("<IH", 8, tags) + table + text
    chunk = b"WEBPEXIF" + struct.pack("<I", len(exif)) + exif
    return data_uri(b"RIFF" + struct.pack("<I", len(chunk)) + chunk, "webp")


def repeated_texts(chars: int) -> dict[str, Any]:
    """A PNG file with texts of one name, one at least, of which each is large once unpacked."""
    body = b"prompt\0\0" + UNPACKED
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + bytes(4)
    return data_uri(PNG + chunk * max(1, chars * 3 // 4 // len(chunk)), "png")


def editor_file(nodes: int, type: str = "KSampler", *, is_linked: bool = False) -> Any:
    """An editor file, of nodes alone or of a chain."""
    if not is_linked:
        return {"nodes": [{"id": n, "type": type} for n in range(nodes)], "links": []}
    image = {"name": "image", "type": "IMAGE"}
    chained = [
        {
            "id": n,
            "type": "ImageInvert",
            "inputs": [image | {"link": n}],
            "outputs": [image | {"links": [n + 1]}],
        }
        for n in range(nodes)
    ]
    return {"nodes": chained, "links": [[n, n - 1, 0, n, 0, "IMAGE"] for n in range(nodes)]}


def subgraphs(times: int, nodes: int) -> Any:
    """An editor file that uses one subgraph some times."""
    inner = {"id": "s", **editor_file(nodes)}
    return editor_file(times, "s") | {"definitions": {"subgraphs": [inner]}}


def nested(layers: int) -> Any:
    """An editor file of subgraphs that each use the next ten times."""
    inner = [{"id": f"s{n}", **editor_file(10, f"s{n + 1}")} for n in range(layers)]
    return editor_file(10, "s0") | {"definitions": {"subgraphs": inner}}
