"""Keys where programs for ComfyUI can put them: these know no headers of ours.

User and password of a URL come as `Basic`; the key is the password or, without one, the user. A
socket may have it as ``?token=``, which is taken out of the query before anything could log that.
"""

import binascii
from base64 import b64decode
from collections.abc import MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

Headers = Sequence[tuple[bytes, bytes]]

AUTHORIZATION, BASIC, BEARER = b"authorization", b"basic ", b"Bearer "
SITE = b"sec-fetch-site"  # in which a browser says whose page makes it send a request
OWN_SITES = (b"same-origin", b"none")
TOKEN = "token"  # noqa: S105 - the name of a parameter


def take_basic(scope: MutableMapping[str, Any]) -> None:
    """Put a key that came as `Basic` where every other one is.

    Not what a browser has remembered of a URL and adds to requests of other sites' pages: nobody
    has sent that on purpose.
    """
    headers: Headers = scope["headers"]
    given = next((value for name, value in headers if name == AUTHORIZATION), b"")
    if given[: len(BASIC)].lower() != BASIC:
        return
    rest = [(name, value) for name, value in headers if name != AUTHORIZATION]
    site = next((value for name, value in headers if name == SITE), b"none")
    key = _key_in(given[len(BASIC) :]) if site in OWN_SITES else b""
    scope["headers"] = [*rest, (AUTHORIZATION, BEARER + key)] if key else rest


def take_token(scope: MutableMapping[str, Any]) -> None:
    """Take a key out of a socket's query; one in a header comes first."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in pairs if name == TOKEN and value]
    if not any(name == TOKEN for name, _ in pairs):
        return
    scope["query_string"] = urlencode([each for each in pairs if each[0] != TOKEN]).encode()
    if tokens and not any(name == AUTHORIZATION for name, _ in scope["headers"]):
        key = tokens[0].encode("utf-8", "replace")
        scope["headers"] = [*scope["headers"], (AUTHORIZATION, BEARER + key)]


def _key_in(encoded: bytes) -> bytes:
    try:
        user, _, password = b64decode(encoded.strip(), validate=True).partition(b":")
    except binascii.Error:
        return b""
    return password or user
