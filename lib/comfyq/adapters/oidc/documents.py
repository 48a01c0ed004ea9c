"""Requests for the documents that an issuer publishes about itself.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
"""

import json
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from comfyq.domain.loopback import is_loopback

WELL_KNOWN = "/.well-known/openid-configuration"
TIMEOUT_S = 4  # of a connection, and of a part of an answer
FETCH_S = 10
MAX_BYTES = 256 * 1024  # of a document


class IssuerAway(Exception):
    """An issuer's documents cannot be had, or are not what they have to be."""


async def fetched_keys(issuer: str) -> list[dict[str, Any]]:
    """Return what ``fetch_keys`` does, from a thread, and give up on an issuer that dawdles."""
    try:
        with anyio.fail_after(FETCH_S):
            return await anyio.to_thread.run_sync(fetch_keys, issuer, abandon_on_cancel=True)
    except TimeoutError:
        raise IssuerAway(f"{issuer} answers too slowly") from None


def fetch_keys(issuer: str) -> list[dict[str, Any]]:
    """Return the keys that an issuer publishes, found by its discovery document.

    Blocks for as long as two requests take; raises IssuerAway.
    """
    pool = PoolManager(
        timeout=Timeout(total=TIMEOUT_S), retries=Retry(0, redirect=0, raise_on_redirect=False)
    )
    with pool:
        described = _document(pool, issuer.rstrip("/") + WELL_KNOWN)
        if described.get("issuer") != issuer:
            raise IssuerAway("the discovery document is another issuer's: `issuer` differs")
        keys = _document(pool, _keys_url(described, issuer)).get("keys")
    if not isinstance(keys, list):
        raise IssuerAway("the document at `jwks_uri` has no list of `keys`")
    return [key for key in keys if isinstance(key, dict)]


def _keys_url(described: dict[str, Any], issuer: str) -> str:
    """Return where the keys are; on the way to them nobody may be able to replace them."""
    url = described.get("jwks_uri")
    if isinstance(url, str):
        at = urlsplit(url)
        both_here = all(is_loopback(urlsplit(each).hostname or "") for each in (url, issuer))
        if at.scheme == "https" or (at.scheme == "http" and both_here):
            return url
    raise IssuerAway("`jwks_uri` of the discovery document is no https URL")


def _document(pool: PoolManager, url: str) -> dict[str, Any]:
    try:
        answer = pool.request("GET", url, preload_content=False)
        try:
            content = answer.read(MAX_BYTES + 1)
        finally:
            answer.close()
    except (HTTPError, UnicodeError) as away:
        raise IssuerAway(f"{url}: {away}") from away
    if answer.status != 200:
        raise IssuerAway(f"{url} answers {answer.status}")
    if len(content) > MAX_BYTES:
        raise IssuerAway(f"{url} has over {MAX_BYTES} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise IssuerAway(f"{url} is no JSON object")
    return document
