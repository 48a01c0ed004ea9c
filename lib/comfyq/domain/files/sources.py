"""Sources of a job's input files: an asset, an http(s) URL or a data URI (RFC 2397).

The query of a URL is often a signature, as good as a password: it is kept for the worker alone, and
everything that is shown or stored beside results has ``shown_source`` or ``without_secrets``.
"""

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import urlsplit

from comfyq.domain.files.asset import AssetId

ASSET = "asset:"
# Of a file that was stored, or of an output, some of which have their place behind a point:
FILE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[0-9]{1,5})?", re.IGNORECASE)
SCHEME = re.compile(r"(https?://|data:|asset:)", re.IGNORECASE)
# No file of ComfyUI is called so: a URL may lack a slash or its scheme. A drive has one letter.
OTHER_URL = re.compile(r"[a-z][a-z\d+.-]+:/|[a-z]://|www\.[^/\s]+/\S*\?", re.IGNORECASE)
URLS = re.compile(  # within a text; a ' may be in a query
    r"(?:https?:/|www\.)[^\s\"<>]*", re.IGNORECASE
)
LIKE_URL = re.compile(r"https?:/+|(?=www\.)", re.IGNORECASE)
MAYBE_URL = re.compile(r":/|www\.", re.IGNORECASE)
MAX_URL_CHARS = 4_000  # signed links of object stores have up to 2,000
MAX_TYPE_CHARS = 200
MAX_HEAD_CHARS = 1_000  # of a data URI, before its data: a type and a few parameters
WHITE_SPACE = b" \t\r\n\f\v"  # skipped within base64
NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class BadSource(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """The content of a data URI."""

    content_type: str
    content: bytes


def normalized(text: str) -> str:
    """Return a source without white space around it and with its scheme in lower case."""
    source = text.strip()
    scheme = SCHEME.match(source)
    return source if scheme is None else scheme[0].lower() + source[scheme.end() :]


def is_source(text: str) -> bool:
    """Return whether a text names a file by URL, data URI or ``asset:ID``.

    URLs of all schemes are meant: ``check_source`` refuses those that are not fetched, whose
    secrets ComfyUI would repeat as the name of a file that it does not have.
    """
    source = text.strip()
    return SCHEME.match(source) is not None or OTHER_URL.match(source) is not None


def shown_source(source: str) -> str:
    """Return a URL without user, query and fragment, and any other source as it is."""
    url = LIKE_URL.match(source)
    if url is None:
        return source
    authority, slash, path = re.split(r"[?#]", source[url.end() :], maxsplit=1)[0].partition("/")
    return f"{url[0]}{authority.rpartition('@')[2]}{slash}{path}"


def without_secrets(text: str) -> str:
    """Return a text with every http(s) URL in it, or what looks like one, shown by
    ``shown_source``."""
    if MAYBE_URL.search(text) is None:
        return text
    return URLS.sub(lambda url: shown_source(url[0]), text)


def asset_id_of(source: str) -> AssetId | None:
    """Return the asset or output that a source names, as ``asset:ID`` or by the bare id."""
    named = source.removeprefix(ASSET)
    return AssetId(named.lower()) if FILE_ID.fullmatch(named) else None


def is_url(source: str) -> bool:
    return source[:8].lower().startswith(("http://", "https://"))


def is_data(source: str) -> bool:
    return source[:5].lower() == "data:"


def check_source(source: str) -> None:
    """Check that a source is an asset id, an http(s) URL or a data URI; raises BadSource."""
    if is_data(source) or asset_id_of(source) is not None:
        return
    if not is_url(source):
        raise BadSource("must be the id of an asset, an http(s) URL or a data URI")
    if len(source) > MAX_URL_CHARS:
        raise BadSource(f"is a URL of {len(source)} characters; the most is {MAX_URL_CHARS}")
    try:
        parts = urlsplit(source)
        _ = parts.port  # raises ValueError if it is none
    except ValueError:
        raise BadSource("is no valid URL") from None
    if "@" in parts.netloc:
        raise BadSource("is a URL with a user or password, which is not fetched; remove them")


def read_data_uri(source: str) -> DataFile:
    """Decode a data URI; raises BadSource."""
    head, comma, body = source[len("data:") :].partition(",")
    if not comma:
        raise BadSource("is no data URI: there is no comma before its data")
    if len(head) > MAX_HEAD_CHARS:
        raise BadSource(
            f"is no data URI: {len(head)} characters stand before its data; the most is "
            f"{MAX_HEAD_CHARS}"
        )
    content_type, *parameters = (part.strip() for part in head.split(";"))
    is_base64 = any(each.lower() == "base64" for each in parameters)
    raw = _unescaped(body)
    try:
        content = b64decode(raw.translate(None, WHITE_SPACE), validate=True) if is_base64 else raw
    except binascii.Error as wrong:
        raise BadSource(f"is no data URI: its base64 is broken ({wrong})") from None
    if not content:
        raise BadSource("is an empty data URI")
    return DataFile(_printable(content_type)[:MAX_TYPE_CHARS] or "text/plain", content)


def _unescaped(body: str) -> bytes:
    """Decode percent escapes, in the form of e-mails: its decoder is written in C, while urllib's
    takes so long for millions of them that nobody else is answered. Raises BadSource."""
    try:
        raw = body.encode()
    except UnicodeEncodeError:
        raise BadSource("is no data URI: its data has half a surrogate pair") from None
    if b"%" not in raw:
        return raw
    if NO_ESCAPE.search(raw):
        raise BadSource(
            "is no data URI: its data has a % that no two hexadecimal digits follow; write it as "
            "%25, or send the data in base64"
        )
    return binascii.a2b_qp(raw.replace(b"=", b"=3D").replace(b"%", b"="))


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isascii() and each.isprintable())
