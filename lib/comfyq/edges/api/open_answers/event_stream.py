"""Frames as server-sent events: an answer that stays open.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import Response
from starlette.types import Receive, Scope, Send

from comfyq.ports.notifier import Stream

EVENT_STREAM = "text/event-stream"
FIRST = b"retry: 2000\n\n"  # milliseconds until a browser whose stream broke opens another one
HEARTBEAT = b": still here\n\n"  # a comment, which clients skip

Events = Callable[[str], Awaitable[bytes]]
"""frame -> its events as they are sent; empty if there is nothing to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPace:
    heartbeat_s: float = 15  # without a frame; proxies close what is silent for a minute
    max_age_s: float = 7_200  # as of sockets: what is stored of a follower expires soon after
    send_s: float = 20  # for one event; who does not read for so long is cut off


class EventStream(Response):
    """Answers with the frames of a stream until it is over, or the client goes away."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        opened: AbstractAsyncContextManager[Stream],
        *,
        pace: StreamPace | None = None,
        events: Events | None = None,
    ) -> None:
        """Whatever ``opened`` raises is answered as the error that it is; ``events`` makes other
        events of a frame than ``event_of``."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._opened = opened
        self._pace = pace or StreamPace()
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened as stream:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            try:
                async with closed_with_client(stream, receive):
                    await self._tell(stream, send)
            except TimeoutError:
                return  # with the answer unfinished, so that the server closes the connection
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, stream: Stream, send: Send) -> None:
        loop = asyncio.get_running_loop()
        old_at = loop.time() + self._pace.max_age_s
        await self._send(send, FIRST)
        while not stream.is_over and loop.time() < old_at:
            frame = await stream.next(within_s=self._pace.heartbeat_s)
            if frame is not None:
                await self._send(send, await self._events_of(frame))
            elif not stream.is_over:
                await self._send(send, HEARTBEAT)

    async def _events_of(self, frame: str) -> bytes:
        return event_of(frame) if self._events is None else await self._events(frame)

    async def _send(self, send: Send, body: bytes) -> None:
        """Raise TimeoutError where the client does not read."""
        if not body:
            return
        async with asyncio.timeout(self._pace.send_s):
            await send({"type": "http.response.body", "body": body, "more_body": True})


def event_of(frame: str) -> bytes:
    """Return a frame as an event, whose id is the frame's ``seq``."""
    fields = json.loads(frame)
    identified = f"id: {fields['seq']}\n" if "seq" in fields else ""
    return f"{identified}event: {kind_of(fields)}\ndata: {frame}\n\n".encode()


def kind_of(fields: dict[str, object]) -> str:
    """Return what a frame is: its ``kind``, else its ``type``, else progress."""
    return str(fields.get("kind") or fields.get("type") or "progress")


@asynccontextmanager
async def closed_with_client(stream: Stream, receive: Receive) -> AsyncIterator[None]:
    """Within the context, a stream is closed as soon as its client closes the connection."""
    leaving = asyncio.create_task(_until_gone(receive))
    leaving.add_done_callback(lambda _: stream.close())
    try:
        yield
    finally:
        leaving.cancel()


async def _until_gone(receive: Receive) -> None:
    """Return when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
