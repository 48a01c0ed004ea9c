"""HTTP Basic, for APIs whose clients can put a key nowhere else; all others take no key so."""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import NamedTuple

Headers = Sequence[tuple[bytes, bytes]]

AUTHORIZATION, BASIC, BEARER = b"authorization", b"basic ", b"Bearer "
SITE = b"sec-fetch-site"  # in which a browser says whose page makes it send a request
OWN_SITES = (b"same-origin", b"none")


class Basic(NamedTuple):
    user: bytes = b""
    password: bytes = b""


def basic_of(headers: Headers) -> Basic | None:
    """Return what a request shows by HTTP Basic; None: it does not use that.

    Both are empty where they cannot be read, or where a browser has remembered them of a URL and
    adds them to requests of other sites' pages: nobody has sent those on purpose.
    """
    given = _first(headers, AUTHORIZATION)
    if given[: len(BASIC)].lower() != BASIC:
        return None
    if _first(headers, SITE) not in (b"", *OWN_SITES):
        return Basic()
    try:
        decoded = b64decode(given[len(BASIC) :].strip(), validate=True)
    except binascii.Error:
        return Basic()
    user, _, password = decoded.partition(b":")
    return Basic(user, password)


def with_key(headers: Headers, key: bytes) -> Headers:
    """Return headers with a key where keys are looked for; an empty one is none."""
    rest = [(name, value) for name, value in headers if name != AUTHORIZATION]
    return [*rest, (AUTHORIZATION, BEARER + key)] if key else rest


def _first(headers: Headers, name: bytes) -> bytes:
    return next((value for each, value in headers if each == name), b"")
