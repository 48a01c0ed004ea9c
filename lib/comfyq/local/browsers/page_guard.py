"""Refusal of what a web page elsewhere could make its visitor's browser send to this machine.

A browser sends requests of any page to any server that it reaches, also to one on loopback. It
names the page's origin in ``Origin``; and a page whose own name was made to resolve to this machine
(DNS rebinding) still sends that name as ``Host``.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from socket import gethostname
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from comfyq.edges.api.problems import ProblemResponse
from comfyq.edges.api.safe_headers import SAFE
from comfyq.edges.websocket.rendering import encode
from comfyq.wire.generate.frames import ErrorFrame

ANY = "*"
LOOPBACK_NAME = "localhost"
READING = frozenset({"GET", "HEAD", "OPTIONS"})  # methods that change nothing
PORTS = {"http": 80, "https": 443}
BEYOND_HOST = frozenset("@/?#\\")  # in a URL they end or begin another part than the host
MAX_SHOWN = 100  # characters of a header that a refusal repeats


class ServedNames:
    """The names that a server may be called by.

    An address of IPv4 or IPv6 always is one: a page whose origin has it was served from there.
    """

    def __init__(self, names: Iterable[str]) -> None:
        machine = gethostname().lower()
        self._names = {
            LOOPBACK_NAME,
            machine,
            f"{machine}.local",
            *map(str.lower, filter(None, names)),
        }
        self.contains = lru_cache(256)(self._contains)

    def _contains(self, host: str) -> bool:
        """Return whether a ``Host`` header is one of this server's."""
        if not BEYOND_HOST.isdisjoint(host):  # `evil.example@localhost`
            return False
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:  # a broken address of IPv6
            return False
        is_known = ANY in self._names or name in self._names
        return is_known or name.endswith(f".{LOOPBACK_NAME}") or _is_address(name)


class PageGuard:
    """Refuse requests and sockets for names that are not served, and those of other origins'
    pages, unless ``origins`` has them (``*``: all) or they only read.

    A client that is no browser sends no ``Origin``, and is not held up.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: ServedNames,
        origins: Iterable[str],
        named_by: str = "COMFYQ_ALLOWED_HOSTS",
    ) -> None:
        """``named_by`` is what adds names, for refusals."""
        self._app = app
        self._names = names
        self._origins = frozenset(origins)
        self._named_by = named_by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host")
        if host is None and scope.get("http_version", "1.1") == "1.1":  # only 1.0 may lack it
            detail = "the request has no Host: say which server it is for"
            refused = _refusal(HTTPStatus.BAD_REQUEST, "bad-request", detail, scope)
        elif host is not None and not self._names.contains(host):
            refused = _refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "unknown-host",
                f"this server is not called {host[:MAX_SHOWN]!r}; if it should be, name it in "
                f"{self._named_by}",
                scope,
            )
        elif self._is_foreign(scope, host, headers.get("origin")):
            refused = _refusal(
                HTTPStatus.FORBIDDEN,
                "foreign-origin",
                f"pages of {headers['origin'][:MAX_SHOWN]!r} may not use this server; if they "
                "should, name their origin in COMFYQ_CORS_ORIGINS",
                scope,
            )
        else:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refused)
        else:
            await refused(scope, receive, send)

    def _is_foreign(self, scope: Scope, host: str | None, origin: str | None) -> bool:
        """Return whether another origin's page asks for more than it may."""
        if origin is None or (scope["type"] == "http" and scope["method"] in READING):
            return False
        if ANY in self._origins or origin in self._origins:
            return False
        return not _is_own(origin, host or "")


def _is_own(origin: str, host: str) -> bool:
    """Return whether a page's origin is the server that ``host`` names. The scheme may differ:
    a proxy in front may be the one that speaks HTTPS."""
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        usual = PORTS.get(page.scheme)
        return usual is not None and (page.hostname, page.port or usual) == (
            server.hostname,
            server.port or usual,
        )
    except ValueError:  # no port, or a broken address of IPv6
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refusal(status: HTTPStatus, code: str, detail: str, scope: Scope) -> Response:
    """Return a problem document, or to a socket's handshake the frame of an error."""
    if scope["type"] == "websocket":
        frame = encode(ErrorFrame(code=code, message=detail))
        return Response(frame, status, SAFE, media_type="application/json")
    return ProblemResponse(Request(scope), status=status, code=code, detail=detail)
