"""Requests to servers of models: guarded addresses, tokens by host, errors in words.

A redirect is followed here and not by aiohttp: each hop's address is checked, and a token goes to
the host alone that it was set for.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
from yarl import URL

from comfyq.adapters.fetching.guarded_session import guarded_session
from comfyq.adapters.fetching.look_up import LookUp, SystemLookUp
from comfyq.adapters.fetching.resolver import GuardedResolver, check
from comfyq.adapters.fetching.urls import read_url, redirected
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import InputRefused
from comfyq.domain.loopback import is_loopback
from comfyq.domain.models.errors import ModelRefused, ModelUnauthorized, ModelUnavailable
from comfyq.domain.public_addresses import Allowed, literal

SETTING = "COMFYQ_MODEL_ALLOW"  # names what else may be fetched from
MAX_REDIRECTS = 8
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429)  # and whatever is the server's own fault
SECONDS = re.compile(r"\d{1,6}")
MAX_TOLD_CHARS = 200

Follows = Callable[[aiohttp.ClientResponse], bool]


def always(_: aiohttp.ClientResponse) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginAccess:
    """How origins may be reached."""

    allowed: Allowed = field(default_factory=Allowed)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)  # by host or host:port
    look_up: LookUp | None = None
    connect_s: float = 15
    idle_s: float = 60  # between two chunks


class OriginSession:
    """Ask origins; without cookies and proxies."""

    def __init__(self, access: OriginAccess) -> None:
        self._access = access
        self._look_up = access.look_up or SystemLookUp("names-of-models")

    @asynccontextmanager
    async def asked(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        follows: Follows = always,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and follow those redirects that ``follows`` says; another is the answer
        itself.

        Raises:
            ModelRefused: the address, or one that it leads to, is one that is not asked.
            ModelUnavailable: there is no answer.
        """
        async with AsyncExitStack() as stack:
            with in_words(_host(url)):
                session = await stack.enter_async_context(self._session())
                response = await self._answer(session, url, method, headers or {}, follows)
                stack.callback(response.close)
            yield response

    async def _answer(
        self,
        session: aiohttp.ClientSession,
        url: str,
        method: str,
        headers: Mapping[str, str],
        follows: Follows,
    ) -> aiohttp.ClientResponse:
        at = self._checked(read_url(url))
        for _ in range(MAX_REDIRECTS + 1):
            sent = {**headers, **self._authorization(at)}
            response = await session.request(method, at, headers=sent, allow_redirects=False)
            following = self._following(at, response, follows)
            if following is None:
                return response
            response.close()
            at = following
        raise ModelUnavailable(f"{_host(url)} redirects more than {MAX_REDIRECTS} times")

    def _session(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        access = self._access
        resolver = GuardedResolver(  # the operator's own, as no tenant names these servers
            tenant=DEFAULT_TENANT,
            allowed=access.allowed,
            setting=SETTING,
            look_up=self._look_up,
        )
        return guarded_session(resolver, connect_s=access.connect_s, idle_s=access.idle_s)

    def _following(self, at: URL, response: aiohttp.ClientResponse, follows: Follows) -> URL | None:
        if response.status not in REDIRECTS or not follows(response):
            return None
        return self._checked(redirected(at, response.headers.get("Location", "")))

    def _checked(self, url: URL) -> URL:
        """Check the address that a URL spells out; a host name is checked when it is resolved."""
        host = url.host or ""
        if literal(host) is not None:  # which no resolver is asked about
            check(self._access.allowed, host, host, setting=SETTING)
        if url.scheme != "https" and not self._is_listed(host):
            raise ModelRefused(
                f"{host} would be asked without TLS, where anybody on the way could change the "
                f"file; only hosts of {SETTING} are"
            )
        return url

    def _is_listed(self, host: str) -> bool:
        """Return whether the operator has named a host, or the address that it is."""
        allowed, address = self._access.allowed, literal(host)
        if address is not None:
            return any(
                address.version == network.version and address in network
                for network in allowed.networks
            )
        return host.lower().rstrip(".") in allowed.hosts

    def _authorization(self, url: URL) -> Mapping[str, str]:
        if not _is_private(url):
            return {}
        tokens = self._access.tokens
        token = tokens.get(f"{url.host}:{url.port}")
        if token is None and url.is_default_port():
            token = tokens.get(url.host or "")
        return {} if token is None else {"Authorization": f"Bearer {token}"}


@contextmanager
def in_words(host: str) -> Iterator[None]:
    """Turn what a request to ``host`` fails with into ModelRefused or ModelUnavailable."""
    try:
        yield
    except InputRefused as refused:
        raise ModelRefused(f"{host}: {refused}") from None
    except TimeoutError:
        raise ModelUnavailable(f"{host} has not answered in time") from None
    except (aiohttp.ClientError, OSError) as error:
        raise ModelUnavailable(_cause(host, error)) from None


def check_status(response: aiohttp.ClientResponse, what: str) -> None:
    """Raise what an answer's status means for a person who wants ``what``; success passes."""
    status, host = response.status, response.url.authority
    if status < 300:
        return
    told = f"{what}: {host} answers {status}{_told(response)}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        if not _is_private(response.url):
            raise ModelUnauthorized(
                f"{told}: it wants a token, which is sent by https alone; name its https address"
            )
        raise ModelUnauthorized(
            f"{told}: it wants a token, or one that may do more. Accept the file's licence on its "
            f"page if there is one, and set COMFYQ_MODEL_TOKENS={host}=TOKEN"
        )
    if status >= 500 or status in PASSING:
        raise ModelUnavailable(told, retry_after_s=_retry_after_s(response))
    raise ModelRefused(told)


def _is_private(url: URL) -> bool:
    """Return whether nobody on the way to a server can read what is sent to it."""
    return url.scheme == "https" or is_loopback(url.host or "")


def _told(response: aiohttp.ClientResponse) -> str:
    """Return what a hub says of an error, in its own headers, with a leading blank."""
    code, message = (response.headers.get(f"X-Error-{name}", "") for name in ("Code", "Message"))
    told = ", ".join(filter(None, (code, message)))[:MAX_TOLD_CHARS]
    return f" ({''.join(filter(str.isprintable, told))})" if told else ""


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if SECONDS.fullmatch(text) else None


def _host(url: str) -> str:
    """Return the host of a URL, which may be none: its query may be a secret."""
    try:
        return URL(url).host or "the origin"
    except ValueError:
        return "the origin"


def _cause(host: str, error: Exception) -> str:
    """Say why a request failed, without the error's own words: they reveal internal addresses."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the name {host}, or one that it leads to, has no address"
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return f"{host} cannot be trusted: there is no TLS with a valid certificate"
        case aiohttp.ClientConnectorError():
            return f"{host} does not accept connections"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return f"{host} broke off before the file was whole"
        case aiohttp.ClientResponseError():
            return f"{host} answers in something else than valid HTTP"
        case _:
            return f"the connection to {host} was lost"
