"""Requests to one server, over connections that are kept open."""

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import SOCK_STREAM
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from comfyq import __version__
from comfyq.adapters.comfyui.http.connection import BrokenOff, Connection, NoConnection

MAX_IDLE = 8  # connections that are kept
PORTS = {"http": 80, "https": 443}
PRINTABLE = "".join(map(chr, range(ord("!"), ord("~") + 1)))
TARGET = re.compile("[!-~]+")  # what a first line may have without a quotation
REDIRECTS_OF_ALL = (307, 308)  # the others turn a POST into a GET
REDIRECTS = (301, 302, 303, *REDIRECTS_OF_ALL)
REPEATABLE = ("GET", "HEAD")  # asked again where a kept connection turns out to have ended


class Requests:
    """Sends requests to ``url``, whose path the targets of requests are below.

    Every method raises OSError where no whole answer comes.
    """

    def __init__(self, url: str, *, connect_s: float, redirects: int = 5) -> None:
        self._url = url
        self._redirects_left = redirects
        self._elsewhere: dict[str, Requests] = {}  # where the last redirect led to
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or PORTS[parts.scheme]
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._path = parts.path
        self._headers = _headers(parts)
        self._connect_s = connect_s
        self._idle: list[Connection] = []

    async def ask(
        self, method: str, target: str, body: bytes | None = None, *, within_s: float
    ) -> tuple[int, bytes]:
        """Send a request, with a body in JSON if it has one; return the answer's status and body.

        ``within_s`` is for the whole answer, once there is a connection.
        """
        request = self._request(method, target, body)
        while True:
            connection, is_kept = await self._connected()
            try:
                connection.send(request)
                content = await connection.whole(within_s=within_s)
            except BrokenOff:
                connection.close()
                if is_kept and not connection.has_heard and method in REPEATABLE:
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            self._keep(connection)
            if (moved := self._moved(method, target, connection)) is not None:
                return await moved.ask(method, target, body, within_s=within_s)
            return connection.status, content

    @asynccontextmanager
    async def opened(self, target: str, *, idle_s: float) -> AsyncIterator[Connection]:
        """Yield a connection with the head of the answer to a GET, whose body is read while the
        context lasts; ``idle_s`` is the longest wait for a part of it."""
        request = self._request("GET", target, None)
        while True:
            connection, is_kept = await self._connected()
            try:
                connection.send(request)
                await connection.begun(within_s=idle_s)
            except BrokenOff:
                connection.close()
                if is_kept and not connection.has_heard:
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            break
        try:
            if (moved := self._moved("GET", target, connection)) is None:
                yield connection
                return
        finally:
            self._keep(connection)
        async with moved.opened(target, idle_s=idle_s) as answer:
            yield answer

    def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        for other in self._elsewhere.values():
            other.close()

    def _moved(self, method: str, target: str, answer: Connection) -> "Requests | None":
        """Return where an answer sends a request to, e.g. from a proxy's HTTP to its HTTPS."""
        if answer.status not in (REDIRECTS if method in REPEATABLE else REDIRECTS_OF_ALL):
            return None
        if answer.location is None:
            return None
        try:
            url = urljoin(f"{self._url}{target}", answer.location)
            base = url.removesuffix(target)
            if (
                self._redirects_left == 0
                or base in (url, self._url)
                or urlsplit(base).scheme not in PORTS
            ):
                return None
            if base not in self._elsewhere:
                left = self._redirects_left - 1
                other = Requests(base, connect_s=self._connect_s, redirects=left)
                self.close()
                self._elsewhere = {base: other}
            return self._elsewhere[base]
        except ValueError:  # it is no URL
            return None

    def _keep(self, connection: Connection) -> None:
        if connection.is_reusable and len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    async def _connected(self) -> tuple[Connection, bool]:
        """Return an open connection, and whether it was kept from an earlier request."""
        while self._idle:
            if (kept := self._idle.pop()).is_open:
                return kept, True
        async with asyncio.timeout(self._connect_s):
            return await self._connect(), False

    async def _connect(self) -> Connection:
        """Connect to the first address of the host that something listens at; each has a share of
        the time, since a network may swallow what is sent to one of them."""
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.getaddrinfo(self._host, self._port, type=SOCK_STREAM)
        except OSError as unknown:
            raise NoConnection(f"{self._host} has no address") from unknown
        refused: OSError | None = None
        for *_, address in addresses:
            host, port = address[:2]
            try:
                async with asyncio.timeout(self._connect_s / len(addresses)):
                    _, connection = await loop.create_connection(
                        Connection,
                        str(host),
                        int(port),
                        ssl=self._ssl,
                        server_hostname=self._host if self._ssl else None,
                    )
            except OSError as error:
                refused = refused or error
            else:
                return connection
        if isinstance(refused, ConnectionRefusedError | TimeoutError):
            raise refused
        raise NoConnection(f"no connection to {self._host}") from refused

    def _request(self, method: str, target: str, body: bytes | None) -> bytes:
        if not TARGET.fullmatch(target):
            target = quote(target, safe=PRINTABLE)
        head = f"{method} {self._path}{target} HTTP/1.1\r\n{self._headers}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        elif method not in REPEATABLE:
            head += "Content-Length: 0\r\n"
        return f"{head}\r\n".encode() + (body or b"")


def _headers(url: SplitResult) -> str:
    headers = f"Host: {url.netloc.rpartition('@')[2]}\r\n"
    headers += f"User-Agent: comfyq/{__version__}\r\nAccept: */*\r\n"
    if url.username is not None:
        user = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers += f"Authorization: Basic {b64encode(user.encode()).decode()}\r\n"
    return headers
