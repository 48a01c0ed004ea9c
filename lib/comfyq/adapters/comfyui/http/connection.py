"""One connection to ComfyUI: one request at a time, and its answer, whole or in pieces."""

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HELD_BYTES = 512 * 1024  # of an answer that is read in pieces, before the sender has to wait
MAX_HEAD_BYTES = 64 * 1024
LOCATION = re.compile(rb"\r\nlocation:[ \t]*([^\r\n]+)", re.IGNORECASE)


class BrokenOff(ConnectionError):
    """The connection ended before the answer did."""


class NoHTTP(ConnectionError):
    """The bytes that were received are no answer in HTTP."""


class NoConnection(ConnectionError):
    """There is no way to the server's address; if nothing listens there, the error is another."""


class Connection(asyncio.Protocol):
    """A connection, with the answer to the request that was sent last."""

    def __init__(self) -> None:
        self.is_open = False
        self.has_heard = False  # a byte of the answer came
        self.status = 0  # of the answer, once its head is here
        self._is_whole = True
        self._is_kept = True  # the connection may carry another request
        self._pieces: list[bytes] = []
        self._held = 0  # bytes
        self._is_paused = False
        self._head = b""
        self._wants_all = True
        self._waiting: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    def send(self, request: bytes) -> None:
        self.has_heard, self.status, self._is_whole = False, 0, False
        self._pieces, self._held, self._head = [], 0, b""
        self._is_paused = False
        self._parser = HttpResponseParser(self)
        self._transport.write(request)

    async def whole(self, *, within_s: float) -> bytes:
        """Wait for the whole answer, and return its body.

        Raises:
            TimeoutError, BrokenOff, NoHTTP.
        """
        if not self._is_whole:
            await self._changed(within_s, wants_all=True)
        return b"".join(self._pieces)

    async def begun(self, *, within_s: float) -> None:
        """Wait for the head of the answer; raises what ``whole`` does."""
        if not self.status:
            await self._changed(within_s, wants_all=False)

    async def pieces(self, *, within_s: float) -> AsyncIterator[bytes]:
        """Yield the body as it comes, each piece after ``within_s`` at most; raises what ``whole``
        does."""
        while self._pieces or not self._is_whole:
            if not self._pieces:
                await self._changed(within_s, wants_all=False)
                continue
            pieces, self._pieces, self._held = self._pieces, [], 0
            if self._is_paused:
                self._is_paused = False
                self._transport.resume_reading()
            yield b"".join(pieces)

    @property
    def location(self) -> str | None:
        """Return where the head of the answer says that what was asked for is."""
        found = LOCATION.search(self._head)
        return None if found is None else found[1].decode("latin-1")

    @property
    def is_reusable(self) -> bool:
        """Return whether the connection may carry another request."""
        # Paused, it would hear neither an answer nor that the server has closed it.
        return self.is_open and self._is_whole and self._is_kept and not self._is_paused

    def close(self) -> None:
        """Close the connection, in the midst of an answer too."""
        self.is_open = False
        self._transport.abort()

    def fail(self, error: Exception) -> None:
        """End the answer with an error, which who waits for it gets."""
        self._error = error
        self._tell()
        self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._is_whole:
            self.close()  # nothing was asked
            return
        self.has_heard = True
        if not self.status:
            self._head += data
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as wrong:
            self.fail(NoHTTP(str(wrong)))
        if not self.status and len(self._head) > MAX_HEAD_BYTES:
            self.fail(NoHTTP("the head of the answer does not end"))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if not self._is_whole and self._error is None:
            if self.status and error is None and _ends_with_connection(self._head):
                self.on_message_complete()
            else:
                self.fail(BrokenOff("the connection ended before the answer"))

    def on_headers_complete(self) -> None:
        if self._is_whole:  # a second answer, to nothing that was asked
            self._is_kept = False
            return
        status = self._parser.get_status_code()
        if status >= HTTPStatus.OK:  # others announce that the answer comes later
            self.status = status
            if not self._wants_all:
                self._tell()

    def on_body(self, body: bytes) -> None:
        if self._is_whole:
            return
        self._pieces.append(body)
        if not self._wants_all:
            self._held += len(body)
            if self._held > HELD_BYTES and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
            self._tell()

    def on_message_complete(self) -> None:
        if self.status and not self._is_whole:
            self._is_whole = True
            self._is_kept = self._parser.should_keep_alive()
            self._tell()

    async def _changed(self, within_s: float, *, wants_all: bool) -> None:
        """Wait for something of the answer, or all of it."""
        if self._error is None:
            self._wants_all = wants_all
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(within_s, self.fail, TimeoutError())
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        if self._error is not None:
            raise self._error

    def _tell(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _ends_with_connection(head: bytes) -> bool:
    """Return whether the end of the connection is that of the body, as no length was said."""
    names = head.partition(b"\r\n\r\n")[0].lower()
    return b"\ncontent-length:" not in names and b"\ntransfer-encoding:" not in names
