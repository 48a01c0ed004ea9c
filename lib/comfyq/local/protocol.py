"""uvicorn's protocol of HTTP with limits that uvicorn lacks.

httptools collects a header of any length, a request that never ends is waited for without an end,
and connections are not counted by client.
"""

import asyncio
import fcntl
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import chain
from termios import FIONREAD
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from comfyq.config import LocalSettings
from comfyq.edges.api.problems import encoded_problem
from comfyq.edges.api.safe_headers import SAFE
from comfyq.local.limits.places import Places
from comfyq.wire.problems import Problem

# Below the limits of websockets, which leaves the connection open beyond them without an answer:
# https://websockets.readthedocs.io/en/stable/reference/variables.html
HANDSHAKE_HEADERS = 100
HANDSHAKE_LINE_BYTES = 8_000
# What says whom a request is for, whose page sent it and who sends it. Proxies and servers differ
# in which of two counts, so what a proxy has checked may be another than what is served.
SINGLE = {name.lower().encode(): name for name in ("Host", "Origin", "Authorization", "X-API-Key")}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Limits of one server's connections."""

    places: Places = field(default_factory=Places)
    head_bytes: int = 32 * 1024  # of a first line and headers, or of a body's trailers
    head_s: float = 20  # within which they arrive
    body_s: float = 20  # within which a body arrives whole, or …
    body_bytes: int = 20_000  # … at least so much more of it
    idle: dict["LimitedProtocol", str] = field(default_factory=dict)  # each with its client
    waiting: dict["LimitedProtocol", str] = field(default_factory=dict)  # for a request, likewise

    @classmethod
    def of(cls, local: LocalSettings) -> "RequestLimits":
        """Return the limits that the settings say."""
        return cls(places=Places(total=local.connections, each_client=local.connections_per_client))

    def oldest(self, client: str) -> "LimitedProtocol | None":
        """Return the connection that can best be closed, the client's own if it has all of its
        places: the one that has been idle longest, else the one that has kept us waiting longest;
        none that has sent what we have not read.
        """
        is_full = self.places.taken[client] >= self.places.each_client
        held = chain(self.idle.items(), self.waiting.items())
        rightful = (each for each, of in held if of == client or not is_full)
        return next((each for each in rightful if not each.has_unread()), None)


def limited(limits: RequestLimits) -> type[asyncio.Protocol]:
    """Return the protocol of a server with these limits."""
    return type("Limited", (LimitedProtocol,), {"limits": limits})


class LimitedProtocol(HttpToolsProtocol):
    """Refuses connections beyond the places, heads beyond their size, and what arrives slowly."""

    limits: RequestLimits

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._place: str | None = None  # the client that this connection is counted for
        self._in_body = False
        self._upgraded = False
        self._head_bytes = 0  # or those between parts of a body and behind it
        self._body_bytes = 0  # since the deadline was set
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        client = self.client[0] if self.client else ""
        if self._take(client):
            self._expect()
        else:
            message = "there are too many connections; try again later"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-connections", message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.limits.idle.pop(self, None)
        start = 0
        while start < len(data) and not (self._upgraded or self.transport.is_closing()):
            piece = data[start : start + self.limits.head_bytes - self._head_bytes]
            start += len(piece)
            self._head_bytes += len(piece)
            super().data_received(piece)
            if self._head_bytes >= self.limits.head_bytes:
                what = "trailers" if self._in_body else "first line and headers"
                most = f"its {what} have over {self.limits.head_bytes} bytes"
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", most)
        if self._in_body or self._head_bytes:
            self._expect()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as other faults are refused; uvicorn answers in bare text."""
        self._refuse(HTTPStatus.BAD_REQUEST, "bad-request", "it is no valid HTTP/1.1")

    def on_headers_complete(self) -> None:
        self._in_body, self._head_bytes = True, 0
        self._unexpect()
        if (fault := self._fault()) is not None:
            self._refuse(HTTPStatus.BAD_REQUEST, "bad-request", fault)
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.transport.is_closing():  # its head was refused
            return
        self._body_bytes += len(body)
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._head_bytes = False, 0
        self._unexpect()
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None and self not in self.limits.waiting:
            self.limits.idle[self] = self._place or ""

    def handle_websocket_upgrade(self) -> None:
        if self.transport.is_closing():  # its head was refused
            return
        if _exceeds_websockets(self.url, self.headers):
            message = f"a handshake has {HANDSHAKE_HEADERS} headers of {HANDSHAKE_LINE_BYTES} bytes"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", message)
            return
        self._upgraded = True
        self._leave()  # the gateway counts sockets
        super().handle_websocket_upgrade()

    def _fault(self) -> str | None:
        """Return what is wrong with a head that says too often, or not at all, whom it is for."""
        names = [name for name, _ in self.headers]
        repeated = next((shown for name, shown in SINGLE.items() if names.count(name) > 1), None)
        if repeated is not None:
            return f"it has more than one {repeated}"
        # https://www.rfc-editor.org/rfc/rfc9112#section-3.2: only HTTP/1.0 may leave it out
        if b"host" not in names and self.parser.get_http_version() != "1.0":
            return "it has no Host"
        return None

    def _take(self, client: str) -> bool:
        """Take a place, if need be that of a connection which has no request."""
        taken = self.limits.places.take(client)
        if not taken and (oldest := self.limits.oldest(client)) is not None:
            oldest.give_way()
            taken = self.limits.places.take(client)
        self._place = client if taken else None
        return taken

    def has_unread(self) -> bool:
        """Return whether something of this connection has arrived, and waits for the loop."""
        unread = array("i", [0])
        with suppress(OSError, ValueError):  # it is closed
            fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), FIONREAD, unread)
        return unread[0] > 0

    def give_way(self) -> None:
        """Close the connection, of which no request has arrived, for a newer one."""
        if self in self.limits.idle:  # an answer would be taken for that of the next request
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "others need its connection")
        self._leave()

    def _expect(self) -> None:
        """Set the deadline of what arrives, unless one is set."""
        if self._deadline is None and not (self._upgraded or self.transport.is_closing()):
            self._body_bytes = 0
            within_s = self.limits.body_s if self._in_body else self.limits.head_s
            self._deadline = self.loop.call_later(within_s, self._overdue)
            self.limits.waiting[self] = self._place or ""

    def _unexpect(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.limits.waiting.pop(self, None)

    def _overdue(self) -> None:
        self._unexpect()
        is_ours = self.flow.read_paused  # the application reads it slowly
        if self._in_body and (is_ours or self._body_bytes >= self.limits.body_bytes):
            self._expect()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "it did not arrive in time")

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Answer, if no answer has begun, and close the connection."""
        self._unexpect()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            target: bytes = getattr(self, "url", b"")  # as far as it has arrived; none before
            self.transport.write(_answer(status, code, detail, target=target.decode("latin-1")))
        self.transport.close()

    def _leave(self) -> None:
        self._unexpect()
        self.limits.idle.pop(self, None)
        if self._place is not None:
            self.limits.places.leave(self._place)
            self._place = None


def _exceeds_websockets(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether the library of WebSockets would neither take nor answer a handshake."""
    longest = max([len(name) + len(value) for name, value in headers], default=0)
    return len(headers) > HANDSHAKE_HEADERS or max(len(url), longest) > HANDSHAKE_LINE_BYTES


def _answer(status: HTTPStatus, code: str, detail: str, *, target: str) -> bytes:
    problem = Problem(
        type=f"/problems/{code}",
        title=status.phrase,
        status=status,
        detail=f"the request was refused: {detail}",
        instance="",
        code=code,
    )
    body, answered, media_type = encoded_problem(problem, path=target.partition("?")[0])
    safe = "".join(f"{name.lower()}: {value}\r\n" for name, value in SAFE.items())
    head = (
        f"HTTP/1.1 {answered} {HTTPStatus(answered).phrase}\r\ncontent-type: {media_type}\r\n"
        f"content-length: {len(body)}\r\n{safe}connection: close\r\n\r\n"
    )
    return head.encode() + body
