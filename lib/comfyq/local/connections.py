"""An open socket of the gateway, from the handshake to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from comfyq.aio.tasks import beside
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.local.job_frames import JobFrames
from comfyq.local.outbox import Outbox
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import NORMAL, Close

Receive = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a socket: by a close frame of ours, or by the other side."""

    code: int
    reason: str = ""
    ours: bool = True


COMPLETE = Ending(NORMAL.code)
GOING_AWAY = Ending(1001, "Going away")
BINARY = Ending(1003, "Binary frames are not supported")
TOO_BIG = Ending(1009, "Message too big")
CANNOT_FOLLOW = Ending(1011, "The job cannot be followed now")
LOST = Ending(1006, "Connection Closed Abnormally", ours=False)


class LiveConnection:
    """An open socket, with a bounded buffer of posted frames, so that a slow client delays no
    other."""

    def __init__(
        self,
        websocket: WebSocket,
        *,
        id: str,
        clock: Clock,
        settings: GatewaySettings,
        following: JobFrames | None = None,
    ) -> None:
        self.id = id
        self.websocket = websocket
        self.client_host = websocket.client.host if websocket.client else "127.0.0.1"
        self.user_agent = websocket.headers.get("user-agent", "")
        self.following = following
        self.connected_at = self.last_active_at = clock.now()
        self.open = False  # from the accepted handshake to the end
        self.gone = asyncio.Event()
        self._clock = clock
        self._settings = settings
        self._outbox = Outbox(settings.buffer_frames)
        self._ending: Ending | None = None
        self._ended = asyncio.Event()
        self._opened_s = self._active_s = _now_s()

    async def accept(self) -> None:
        """Complete the handshake; from here on frames may be posted."""
        await self.websocket.accept()
        self.open = self._ending is None

    def post(self, text: str) -> None:
        """Put a frame into the buffer; raises BufferFull."""
        self._outbox.put(text)

    def end(self, ending: Ending) -> None:
        """End the socket, at once; only the first ending counts."""
        if self._ending is None:
            self._ending = ending
            self.open = False
            self._ended.set()

    def close(self, close: Close = NORMAL) -> None:
        """End the socket in order."""
        self.end(Ending(close.code, close.reason))

    async def serve(self, receive: Receive) -> Ending:
        """Pass messages to ``receive`` and posted frames to the client until either ends it."""
        async with beside(self._read(receive), self._write(), self._expire()):
            await self._ended.wait()
        ending = self._ending or LOST
        if ending.ours:
            await self._close(ending)
        return ending

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await self.websocket.receive()
            if message["type"] == "websocket.disconnect":
                self.end(_by_client(message.get("code"), message.get("reason")))
                return
            self._touch()
            text = message.get("text")
            if text is None:
                self.end(BINARY)
                return
            if len(text.encode()) > self._settings.max_message_bytes:
                self.end(TOO_BIG)
                return
            await receive(text)

    async def _write(self) -> None:
        while self._ending is None:
            frame = await self._next()
            if self.following is None or self.following.admit(frame):
                await self._show(frame)

    async def _show(self, frame: str) -> None:
        if not await self._send(frame):
            self.end(LOST)
        elif self.following is not None and self.following.ended:
            self.end(COMPLETE)
        elif self.following is not None and self.following.refused:
            self.end(CANNOT_FOLLOW)

    async def _next(self) -> str:
        """The next posted frame, or the followed job's last again when none comes."""
        if self.following is None or self.following.last is None:
            return await self._outbox.get()
        try:
            async with asyncio.timeout(self._settings.repeat_s):
                return await self._outbox.get()
        except TimeoutError:
            return self.following.last

    async def _send(self, message: str | bytes) -> bool:
        try:
            async with asyncio.timeout(self._settings.send_timeout_s):
                if isinstance(message, str):
                    await self.websocket.send_text(message)
                else:
                    await self.websocket.send_bytes(message)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            return False
        self._touch()
        return True

    async def _expire(self) -> None:
        while True:
            left_s = self._left_s()
            if left_s <= 0:
                self.end(GOING_AWAY)
                return
            await asyncio.sleep(left_s)

    def _left_s(self) -> float:
        idle_at = self._active_s + self._settings.idle_s
        old_at = self._opened_s + self._settings.max_age_s
        return min(idle_at, old_at) - _now_s()

    async def _close(self, ending: Ending) -> None:
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(self._settings.send_timeout_s):
                await self.websocket.close(ending.code, ending.reason)

    def _touch(self) -> None:
        self.last_active_at = self._clock.now()
        self._active_s = _now_s()


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _by_client(code: int | None, reason: str | None) -> Ending:
    unsaid = "Client-side close frame status not set" if code in (None, 1005) else ""
    return Ending(code or 1005, reason or unsaid, ours=False)
