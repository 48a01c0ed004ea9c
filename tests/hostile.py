"""Input that nobody sends by mistake: one corpus for everything that takes input from others."""

import io
import json
import random
from collections.abc import Iterator
from typing import Any

from PIL import Image

TEXTS = (
    *("", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\ufeff", "\u202egnp.exe", "\u2028", "\x7f"),
    *("\r\nSet-Cookie: a=b", "\x1b[2J", "\x1b]0;a\x07", "%00", "%2e%2e%2f", "%s%n", "?#", "#"),
    *("../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x", "CON", ".", "..", "~", "-rf"),
    *("file:///etc/passwd", "javascript:alert(1)", "data:,", "data:image/png;base64,!", "asset:"),
    *("asset:../../x", "http://", "http://[", "http://a:b", "http://a:99999/", "http://@/", "//a"),
    *("http://\u0130.example/", "http://a..b/", "http://169.254.169.254/", "http://0x7f.1/"),
    *("http://[::ffff:127.0.0.1]/", "https://a@b@c/", "http://a/\r\nX: y", "ftp://a/", "\\\\a\\b"),
    *(
        "${jndi:ldap://x}",
        "{{7*7}}",
        "{0.__class__}",
        "<script>alert(1)</script>",
        "'; DROP TABLE a;",
    ),
    *("http://a.example/\ud800", "https://\udfff.example/", "http://a.example/?\udc80"),
    *("NaN", "1e999", "0x10", "\u0969", "\ufb00", "true", "null", "[]", "{}", "\U0001f98a" * 500),
    *("a" * 20_000, "a" * 300, "[" * 2_000, '{"a":' * 500, "e\u0301" * 200),
)
NUMBERS = (-1, 0, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, float("inf"), float("nan"))
VALUES: tuple[Any, ...] = (
    *TEXTS,
    *NUMBERS,
    *(None, True, [], {}, [[]], [None], {"": ""}, {"\0": "\0"}, [["9", 0]], ["9", 0], ["9", -1]),
    *([["9", 10**30]], {"__value__": []}, {"__proto__": {}}, [0] * 500, {"a": {"a": {"a": []}}}),
)
BYTES = (
    *(b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x80" * 50, b"{", b"[", b'{"a"', b'"', b"nul"),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5_000, b"-", b"1e", b'{"a":1,"a":2}', b"\x1f\x8b"),
    *(json.dumps(TEXTS).encode("utf-16"), json.dumps(TEXTS).encode("utf-32"), bytes(range(256))),
)
BOUNDARY = "limit"
FORMS = (  # heads of a part, and what follows them
    *(b"", b"--limit", b"--limit--", b"--limit\r\n", b"--limit\r\n\r\n", b"\r\n--limit\r\n" * 500),
    b"--limit\r\nContent-Disposition: form-data\r\n\r\nx\r\n--limit--",
    b'--limit\r\nContent-Disposition: form-data; name="file\r\n\r\nx\r\n--limit--',
    b"--limit\r\n" + b"A: b\r\n" * 5_000 + b"\r\nx\r\n--limit--",
    b"--limit\r\nA: " + b"b" * 100_000 + b"\r\n\r\nx\r\n--limit--",
)
CONTENT_TYPES = (
    *("multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="'),
    *(f"multipart/form-data; boundary={BOUNDARY}", f"multipart/form-data; boundary={'a' * 500}"),
)


def pictures() -> Iterator[bytes]:
    """Yield small pictures of each kind that were cut, or of which bytes were changed."""
    chance = random.Random(0)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        buffer = io.BytesIO()
        Image.new("RGB", (9, 7), "red").save(buffer, kind)
        whole = buffer.getvalue()
        for at in (4, 12, 20, len(whole) // 2, len(whole) - 1):
            yield whole[:at]
        for _ in range(12):
            changed = bytearray(whole)
            for _ in range(3):
                changed[chance.randrange(4, len(changed))] = chance.choice((0, 1, 127, 255))
            yield bytes(changed)
