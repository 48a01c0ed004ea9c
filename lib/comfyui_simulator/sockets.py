"""The open sockets, and the one line in which all events wait to be sent."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from comfyui_simulator.faults import FaultSwitch
from comfyui_simulator.messages import Event, Preview


@dataclass(frozen=True)
class Socket:
    """One open socket, the connection under it, and what its client announced."""

    answer: web.WebSocketResponse
    transport: asyncio.Transport | None
    flags: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Message:
    sid: str | None
    content: str | bytes


class SocketHub:
    """Send events to clients by their id, in order, one client after another.

    As in ComfyUI, a client that stops reading delays all others, and a second socket of the same id
    receives nothing more once the first one closes, because that deletes the id's entry.
    """

    def __init__(self, *, faults: FaultSwitch) -> None:
        self._faults = faults
        self._sockets: dict[str, Socket] = {}
        self._line: asyncio.Queue[_Message] = asyncio.Queue()

    def open(self, sid: str, socket: Socket) -> None:
        self._sockets[sid] = socket

    def forget(self, sid: str) -> None:
        """Drop the entry of an id, whichever socket is in it."""
        self._sockets.pop(sid, None)

    def announce(self, sid: str, flags: dict[str, Any]) -> None:
        """Remember what a client can do."""
        if sid in self._sockets:
            self._sockets[sid].flags.update(flags)

    def send(self, event: Event, sid: str | None = None) -> None:
        """Put an event in line, for one client or for all."""
        if self._sockets:
            self._line.put_nowait(_Message(sid, event.encoded()))

    def send_preview(self, preview: Preview, node_id: str, prompt_id: str, sid: str | None) -> None:
        """Put a picture in line, in the form that the client understands."""
        understood = self.understands_metadata(sid)
        frame = preview.frame_with_metadata(node_id, prompt_id) if understood else preview.frame()
        self._line.put_nowait(_Message(sid, frame))

    def understands_metadata(self, sid: str | None) -> bool:
        socket = self._sockets.get(sid or "")
        return bool(socket and socket.flags.get("supports_preview_metadata"))

    def is_watched(self, sid: str | None) -> bool:
        """Return whether anyone would receive what is sent to this id."""
        return bool(self._sockets) if sid is None else sid in self._sockets

    async def greet(self, sid: str, event: Event) -> None:
        """Send past the line, as the first messages on a socket are."""
        await self._deliver(_Message(sid, event.encoded()))

    async def publish(self) -> None:
        """Send what is in line, for ever."""
        while True:
            message = await self._line.get()
            await self._faults.wait_while(lambda faults: faults.stall_socket)
            await self._deliver(message)

    def abort_all(self) -> None:
        """Cut every connection without a close frame, as a killed process does."""
        for socket in list(self._sockets.values()):
            if socket.transport is not None:
                socket.transport.abort()

    async def close_all(self) -> None:
        for socket in list(self._sockets.values()):
            await socket.answer.close()

    async def _deliver(self, message: _Message) -> None:
        if self._faults.now.deaf:
            return
        for socket in self._addressees(message.sid):
            try:
                await _send(socket.answer, message.content)
            except ConnectionError:
                continue  # its reader will notice and forget it

    def _addressees(self, sid: str | None) -> list[Socket]:
        if sid is None:
            return list(self._sockets.values())
        return [self._sockets[sid]] if sid in self._sockets else []


async def _send(answer: web.WebSocketResponse, content: str | bytes) -> None:
    if isinstance(content, str):
        await answer.send_str(content)
    else:
        await answer.send_bytes(content)


def flags_in(text: str) -> dict[str, Any] | None:
    """The feature flags in a client's message, or None if it is another message."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, dict) or message.get("type") != "feature_flags":
        return None
    return dict(message.get("data", {}))
