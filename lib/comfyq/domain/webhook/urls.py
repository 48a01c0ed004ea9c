"""URLs of receivers. Their query, or the end of their path, is often a secret, which nothing that
is shown has."""

from typing import Any
from urllib.parse import urlsplit

from comfyq.domain.files.fetch_exceptions import METADATA
from comfyq.domain.public_addresses import Allowed, spelled_out

MAX_URL_CHARS = 2_000
MAX_SHOWN_CHARS = 8  # of a path: too few for a token
MAX_LABEL_CHARS = 63
MAX_HOST_CHARS = 253  # https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
PORTS = {"http": 80, "https": 443}


def webhook_url_of(value: Any) -> str:
    """Return ``value`` if a webhook can be sent there.

    Raises:
        ValueError: it cannot; the message says what is wrong, without the URL.
    """
    if not isinstance(value, str):
        raise ValueError("must be a text: an http or https URL")
    if len(value) > MAX_URL_CHARS:
        raise ValueError(f"has {len(value)} characters; the most is {MAX_URL_CHARS}")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("has characters that no URL has; percent-encode them")
    try:
        parts = urlsplit(value)
        port = parts.port  # raises ValueError if it is none
    except ValueError:
        raise ValueError("is no valid URL") from None
    if parts.scheme not in PORTS or port == 0 or not parts.hostname:
        raise ValueError("must be a whole http or https URL: https://HOST/PATH")
    _check_host(parts.hostname)
    if "@" in parts.netloc:
        raise ValueError("has a user or password, which is not sent; remove them")
    if parts.fragment or value.endswith("#"):
        raise ValueError("has a fragment (#…), which no server is sent; remove it")
    return value


def _check_host(host: str) -> None:
    labels = host.removesuffix(".").split(".")
    if len(host) > MAX_HOST_CHARS or not all(0 < len(each) <= MAX_LABEL_CHARS for each in labels):
        raise ValueError(
            f"has a host of no possible name: it has {MAX_HOST_CHARS} characters at most, and 1 to "
            f"{MAX_LABEL_CHARS} in each part between dots"
        )


def unreachable(url: str, allowed: Allowed) -> str | None:
    """Return why nothing would ever be sent to a URL; None: its host is public, allowed, or a name
    of which only a look-up tells."""
    host = urlsplit(url).hostname or ""
    if allowed.may_permit(host):
        return None
    if not METADATA.isdisjoint(spelled_out(host)):
        return f"{host} is a cloud's metadata service, to which nothing is ever sent"
    return (
        f"{host} is not in the public internet, so nothing is sent there; whoever runs the server "
        "may name it in COMFYQ_WEBHOOK_ALLOW"
    )


def shown_url(url: str) -> str:
    """Return a URL as people are shown it: with the beginning of its path, without its query."""
    parts = urlsplit(url)
    is_short = len(parts.path) <= MAX_SHOWN_CHARS
    path = parts.path if is_short else f"{parts.path[: MAX_SHOWN_CHARS - 1]}…"
    return f"{parts.scheme}://{parts.netloc}{path}{'?…' if '?' in url else ''}"


def origin_of(url: str) -> str:
    """Return the receiver that a URL leads to: scheme, host and port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or PORTS[parts.scheme]}"
