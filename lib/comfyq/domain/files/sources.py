"""Sources of a job's input files: an asset, an http(s) URL or a data URI (RFC 2397)."""

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from comfyq.domain.files.asset import AssetId

ASSET = "asset:"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
URL = re.compile(r"https?://", re.IGNORECASE)
DATA = re.compile(r"data:", re.IGNORECASE)
MAX_URL_CHARS = 4_000  # signed links of object stores have up to 2,000
MAX_TYPE_CHARS = 200


class BadSource(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """The content of a data URI."""

    content_type: str
    content: bytes


def asset_id_of(source: str) -> AssetId | None:
    """The asset that a source names, as ``asset:ID`` or by the bare UUID."""
    named = source.removeprefix(ASSET)
    return AssetId(named.lower()) if UUID.fullmatch(named) else None


def is_url(source: str) -> bool:
    return URL.match(source) is not None


def is_data(source: str) -> bool:
    return DATA.match(source) is not None


def check_source(source: str) -> None:
    """Check that a source is an asset id, an http(s) URL or a data URI; raises BadSource."""
    if is_data(source) or asset_id_of(source) is not None:
        return
    if not is_url(source):
        raise BadSource("must be the id of an asset, an http(s) URL or a data URI")
    if len(source) > MAX_URL_CHARS:
        raise BadSource(f"is a URL of {len(source)} characters; the most is {MAX_URL_CHARS}")


def read_data_uri(source: str) -> DataFile:
    """Decode a data URI; raises BadSource."""
    head, comma, body = source[len("data:") :].partition(",")
    if not comma:
        raise BadSource("is no data URI: there is no comma before its data")
    content_type, *parameters = (part.strip() for part in head.split(";"))
    raw = unquote_to_bytes(body)
    try:
        content = b64decode(raw, validate=True) if "base64" in parameters else raw
    except binascii.Error as wrong:
        raise BadSource(f"is no data URI: its base64 is broken ({wrong})") from None
    if not content:
        raise BadSource("is an empty data URI")
    return DataFile(_printable(content_type)[:MAX_TYPE_CHARS] or "text/plain", content)


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isascii() and each.isprintable())
