"""Clients of different kinds, each with a socket on which it sends and receives frames."""

import functools
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import websocket
from playwright.sync_api import Browser, Page
from websockets.sync.client import ClientConnection, connect

from tests.raw_websocket import ACCEPTED, TEXT, ServerBytes, client_frame, handshake

WAIT_S = 60.0
OPEN = """new Promise((resolve, reject) => {
  window.frames_ = []
  window.waiting = []
  window.socket = new WebSocket(%s)
  socket.onmessage = ({ data }) => (waiting.shift() ?? ((text) => frames_.push(text)))(data)
  socket.onopen = () => resolve(true)
  socket.onerror = () => resolve(false)
})"""
NEXT = "new Promise((resolve) => frames_.length ? resolve(frames_.shift()) : waiting.push(resolve))"
BLANK = b"<!doctype html><title>a page</title>"


class Client(Protocol):
    def send(self, text: str) -> None: ...

    def next(self) -> Any:
        """Return the next frame, as it was parsed."""
        ...


class RawClient:
    """Bytes on a TCP connection, without any library of WebSockets."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._connection = socket.create_connection((at.hostname, at.port), timeout=WAIT_S)
        self._received, self._frames = ServerBytes(), list[str]()
        query = f"?{at.query}" if at.query else ""
        self._connection.sendall(handshake(at.netloc, at.path + query))
        while self._received.head is None:
            self._read()
        assert self._received.status == ACCEPTED, self._received.head

    def send(self, text: str) -> None:
        self._connection.sendall(client_frame(TEXT, text.encode()))

    def next(self) -> Any:
        while not self._frames:
            self._read()
        return json.loads(self._frames.pop(0))

    def close(self) -> None:
        self._connection.close()

    def _read(self) -> None:
        data = self._connection.recv(65_536)
        assert data, "the server has closed the connection"
        frames = self._received.fed(data)
        self._frames += [payload.decode() for opcode, payload in frames if opcode == TEXT]


class WebsocketsClient:
    """The library that the specification's example uses."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send(self, text: str) -> None:
        self._socket.send(text)

    def next(self) -> Any:
        return json.loads(self._socket.recv(timeout=WAIT_S))


class WebSocketClient:
    """websocket-client."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=WAIT_S)

    def send(self, text: str) -> None:
        self._socket.send(text)

    def next(self) -> Any:
        return json.loads(self._socket.recv())

    def close(self) -> None:
        self._socket.close(timeout=1)
        self._socket.shutdown()  # type: ignore[no-untyped-call] # if the server has closed first


class BrowserClient:
    """A socket that a page in a browser has opened."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        assert page.evaluate(OPEN % json.dumps(url)), f"the browser cannot open {url}"

    def send(self, text: str) -> None:
        self._page.evaluate(f"socket.send({json.dumps(text)})")

    def next(self) -> Any:
        return json.loads(self._page.evaluate(NEXT))


@contextmanager
def in_browser(browser: Browser, url: str, *, origin: str) -> Iterator[Client]:
    """Open a socket by a page of an origin."""
    page = browser.new_page()
    try:
        page.goto(origin)
        yield BrowserClient(page, url)
    finally:
        page.close()


@contextmanager
def opened(kind: str, url: str) -> Iterator[Client]:
    """Open a socket by a client of a kind."""
    match kind:
        case "raw":
            with closing(RawClient(url)) as raw:
                yield raw
        case "websockets":
            with connect(url, max_size=None, proxy=None) as connection:
                yield WebsocketsClient(connection)
        case "websocket-client":
            with closing(WebSocketClient(url)) as client:
                yield client
        case _:
            raise ValueError(f"no such client: {kind}")


class _Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(BLANK)))
        self.end_headers()
        self.wfile.write(BLANK)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def blank_pages() -> Iterator[str]:
    """Serve an empty page at every address of an origin of its own; yields its URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server:
        serving = threading.Thread(target=functools.partial(server.serve_forever, 0.05))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            serving.join()
