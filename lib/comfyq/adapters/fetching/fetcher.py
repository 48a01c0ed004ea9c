"""Fetching files that clients name by URL, never from addresses that are not public."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from yarl import URL

from comfyq.adapters.fetching.guarded_session import guarded_session
from comfyq.adapters.fetching.look_up import LookUp, SystemLookUp
from comfyq.adapters.fetching.resolver import GuardedResolver, check, not_public
from comfyq.adapters.fetching.urls import read_url, redirected
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import InputInvalid, InputUnavailable
from comfyq.domain.public_addresses import Allowed, literal

SETTING = "COMFYQ_INPUT_ALLOW"  # names what else may be fetched from
MAX_REDIRECTS = 5
NAMELESS = (socket.EAI_NONAME, socket.EAI_NODATA)  # of a look-up that has found no address
CHUNK_BYTES = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429)  # and whatever is the server's own fault
UNTOLD = frozenset({"application/octet-stream", "binary/octet-stream"})  # of object stores
FAMILIES = {  # kind of input -> what its content type may begin with
    "image": ("image/",),
    "mask": ("image/",),
    "video": ("video/", "application/mp4"),
    "audio": ("audio/", "video/", "application/ogg"),
    "model_3d": ("model/", "application/", "text/plain"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Time limits of a fetch, in seconds."""

    connect_s: float = 5
    idle_s: float = 15  # between two chunks
    total_s: float = 120  # with all redirects


class HttpFetcher:
    """Fetch files, checking the address of each redirect; uses no cookies and no proxies."""

    def __init__(
        self,
        *,
        allowed: Allowed | None = None,
        look_up: LookUp | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._allowed = allowed or Allowed()
        self._look_up = look_up or SystemLookUp("names-of-inputs")
        self._patience = patience or Patience()

    async def fetch(self, url: str, *, tenant: TenantId, kind: str, max_bytes: int) -> bytes:
        """As the port says."""
        try:
            async with asyncio.timeout(self._patience.total_s), self._session(tenant) as session:
                return await self._followed(session, url, kind, max_bytes)
        except TimeoutError as late:
            raise InputUnavailable("it took too long to fetch", passing=True) from late
        except aiohttp.InvalidURL:
            raise InputInvalid("it is no valid URL") from None
        except aiohttp.ClientConnectorDNSError as error:
            if error.os_error.errno in NAMELESS:
                raise not_public(error.host, setting=SETTING) from error
            told = "the name of its server cannot be looked up now"
            raise InputUnavailable(told, passing=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise InputUnavailable(_cause(error), passing=True) from error

    def _session(self, tenant: TenantId) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        resolver = GuardedResolver(
            tenant=tenant, allowed=self._allowed, setting=SETTING, look_up=self._look_up
        )
        patience = self._patience
        return guarded_session(resolver, connect_s=patience.connect_s, idle_s=patience.idle_s)

    async def _followed(
        self, session: aiohttp.ClientSession, url: str, kind: str, max_bytes: int
    ) -> bytes:
        at = self._checked(read_url(url))
        for _ in range(MAX_REDIRECTS + 1):
            async with session.get(at, allow_redirects=False) as response:
                if response.status not in REDIRECTS:
                    return await _content(response, kind, max_bytes)
                at = self._checked(redirected(at, response.headers.get("Location", "")))
        raise InputUnavailable(f"it is behind more than {MAX_REDIRECTS} redirects")

    def _checked(self, url: URL) -> URL:
        """Check the address that a URL spells out; a host name is checked when it is resolved."""
        host = url.host or ""
        if literal(host) is not None:  # which no resolver is asked about
            check(self._allowed, host, host, setting=SETTING)
        return url


def _cause(error: Exception) -> str:
    """Say why a fetch failed, without the error's own words: they reveal internal addresses."""
    match error:
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return "its server cannot be trusted: there is no TLS with a valid certificate"
        case aiohttp.ClientConnectorError():
            return "its server does not accept connections"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "its server broke off before the file was whole"
        case aiohttp.ClientResponseError():
            return "its server's answer is not valid HTTP"
        case _:
            return "the connection to its server was lost"


async def _content(response: aiohttp.ClientResponse, kind: str, max_bytes: int) -> bytes:
    if response.status != HTTPStatus.OK:
        passing = response.status >= 500 or response.status in PASSING
        raise InputUnavailable(f"its server answers {response.status}", passing=passing)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise InputInvalid("its server sends it compressed, which was not asked for")
    _check_type(response.headers.get("Content-Type", ""), kind)
    if (response.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(content)


def _check_type(header: str, kind: str) -> None:
    content_type = header.partition(";")[0].strip().lower()
    if content_type and content_type not in UNTOLD and not content_type.startswith(FAMILIES[kind]):
        raise InputInvalid(f"its server says that it is {content_type[:100]}, which is no {kind}")


def _too_large(max_bytes: int) -> InputInvalid:
    return InputInvalid(f"it is larger than {max_bytes} bytes")
