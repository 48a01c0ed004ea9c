"""URLs of receivers. The query of one is often a secret, so nothing that is shown has it."""

from typing import Any
from urllib.parse import urlsplit

from comfyq.domain.files.sources import shown_source

MAX_URL_CHARS = 2_000
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


def shown_url(url: str) -> str:
    """Return a URL as people are shown it: what its query says is left out."""
    shown = shown_source(url)
    return shown if shown == url else f"{shown}?…"


def origin_of(url: str) -> str:
    """Return the receiver that a URL leads to: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
