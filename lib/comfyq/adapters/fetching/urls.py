"""URLs of input files.

The bytes of a URL are its signer's: path and query are sent as they came, and only what no request
can carry (spaces, control characters, other than ASCII) is percent-encoded.
"""

import re
from urllib.parse import quote

from yarl import URL

from comfyq.domain.errors import InputForbidden, InputInvalid
from comfyq.domain.files.sources import is_url

PARTS = re.compile(  # scheme, authority, what the server is asked for
    r"(https?)://([^/?#\0-\x20\x7f]+)((?:[/?][^#]*)?)(?:#.*)?", re.IGNORECASE | re.DOTALL
)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
SENT = "".join(map(chr, range(0x21, 0x7F)))  # characters of a request's target
ASCENTS = re.compile(r"(\.{1,2}/|\.{1,2}\Z)")


def read_url(text: str) -> URL:
    """Parse a URL whose path and query are kept byte for byte.

    Raises:
        InputInvalid: it is no URL.
        InputForbidden: it is neither http nor https, or names a user.
    """
    text = text.strip()
    if not is_url(text):
        raise InputForbidden("only http and https are fetched")
    parts = PARTS.fullmatch(text)
    if parts is None:
        raise InputInvalid("it is no valid URL")
    if "@" in parts[2]:
        raise InputForbidden("a URL with a user or password is not fetched")
    target = parts[3] if parts[3].startswith("/") else f"/{parts[3]}"
    try:
        origin = URL(f"{parts[1]}://{parts[2]}").origin()
        return origin.with_path(_sendable(target), encoded=True)
    except ValueError:  # of a lone surrogate, too
        raise InputInvalid("it is no valid URL") from None


def redirected(url: URL, location: str) -> URL:
    """Return where the server at ``url`` redirects to; raises as ``read_url`` does."""
    location = location.strip()
    if SCHEME.match(location):
        return read_url(location)
    if location.startswith("//"):
        return read_url(f"{url.scheme}:{location}")
    return read_url(f"{url.origin()}{_resolved(url.raw_path.partition('?')[0], location)}")


def _resolved(path: str, location: str) -> str:
    """Resolve a location without a host against the path that it was sent for (RFC 3986, 5.2)."""
    if location.startswith("/"):
        return location
    if not location or location[0] in "?#":
        return path + location
    folder = path.rpartition("/")[0]
    while ascent := ASCENTS.match(location):
        location = location[ascent.end() :]
        if ascent[0].startswith(".."):
            folder = folder.rpartition("/")[0]
    return f"{folder}/{location}"


def _sendable(target: str) -> str:
    """Percent-encode what a request's target cannot have; a header's bytes are escaped by aiohttp
    as surrogates."""
    return quote(target.encode("utf-8", "surrogateescape"), safe=SENT)
