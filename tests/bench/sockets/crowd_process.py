"""Many sockets in a process of their own, which takes commands as lines of JSON.

usage: python -m tests.bench.sockets.crowd_process

It does as little as it can while frames come: what they say is read afterwards. Each answer is one
line of JSON too.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from comfyq.aio.tasks import limited
from tests.raw_websocket import ACCEPTED, CLOSE, PING, PONG, TEXT, ServerBytes, client_frame
from tests.raw_websocket import handshake as opening

OPENED_AT_ONCE = 50
SMALL_SEGMENT = 536  # and so a small buffer at the server's side
SMALL_BUFFER = 2_048
DRAIN_S = 5.0
ANSWERS = {PING: PONG, CLOSE: CLOSE}

Command = dict[str, Any]


class CrowdSocket(asyncio.Protocol):
    """A socket that notes when each frame came."""

    def __init__(self, host: str, path: str) -> None:
        loop = asyncio.get_running_loop()
        self.frames: list[tuple[float, bytes]] = []
        self.accepted: asyncio.Future[None] = loop.create_future()
        self.shown: asyncio.Future[None] = loop.create_future()  # its first frame has come
        self._opening = opening(host, path)
        self._received = ServerBytes()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        for opcode, payload in self._received.fed(data):
            if opcode == TEXT:
                self.frames.append((now, payload))
                _settle(self.shown)
            elif opcode in ANSWERS:
                self._write(client_frame(ANSWERS[opcode], payload))
        if not self.accepted.done() and self._received.head is not None:
            self._judge()

    def connection_lost(self, exc: Exception | None) -> None:
        for waited in (self.accepted, self.shown):
            _settle(waited, ConnectionError("the server closed the socket"))

    def close(self) -> None:
        assert self._transport is not None, "it was opened"
        self._transport.close()

    def _judge(self) -> None:
        if self._received.status == ACCEPTED:
            _settle(self.accepted)
        else:
            _settle(self.accepted, ConnectionError(f"refused: {self._received.head!r}"))

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)


def _settle(future: asyncio.Future[None], failure: Exception | None = None) -> None:
    if not future.done():
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
            future.exception()  # somebody may wait for it, or nobody


class Crowd:
    def __init__(self) -> None:
        self._sockets: list[CrowdSocket] = []
        self._stalled: socket.socket | None = None

    async def obey(self, command: Command) -> object:
        match command["do"]:
            case "open":
                return await self._open(command["url"], command["paths"])
            case "read":
                return self._read(Path(command["into"]))
            case "close":
                return self._close()
            case "stall":
                return await asyncio.to_thread(self._stall, command["url"], command["path"])
            case "drain":
                return await asyncio.to_thread(self._drain)
            case other:
                raise ValueError(f"no such command: {other}")

    async def _open(self, url: str, paths: Sequence[str]) -> object:
        """Open a socket for each path; return the seconds until all are open, and have a frame."""
        netloc = urlsplit(url).netloc
        host, _, port = netloc.partition(":")
        loop = asyncio.get_running_loop()

        async def opened(number: int) -> CrowdSocket:
            _, one = await loop.create_connection(
                lambda: CrowdSocket(netloc, paths[number]), host, int(port)
            )
            await one.accepted
            return one

        began = monotonic()
        made = await limited(OPENED_AT_ONCE, range(len(paths)), opened)
        open_s = monotonic() - began
        for one in made.values():
            await one.shown
        self._sockets += made.values()
        return {"open_s": open_s, "shown_s": monotonic() - began}

    def _read(self, into: Path) -> object:
        """Write what has come as JSON, and keep it no longer."""
        frames = [
            (moment, number, payload.decode())
            for number, one in enumerate(self._sockets)
            for moment, payload in one.frames
        ]
        for one in self._sockets:
            one.frames.clear()
        into.write_text(json.dumps(sorted(frames)))
        return {"frames": len(frames)}

    def _close(self) -> object:
        for one in self._sockets:
            one.close()
        self._sockets.clear()
        return {}

    def _stall(self, url: str, path: str) -> object:
        """Open a socket that is not read from, with buffers as small as a client can have them."""
        at = urlsplit(url)
        self._stalled = socket.socket()
        self._stalled.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
        self._stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self._stalled.connect((at.hostname, at.port))
        self._stalled.sendall(opening(at.netloc, path))
        return {}

    def _drain(self) -> object:
        """Read what the stalled socket was sent; return how many frames it was, and whether the
        server has closed it."""
        assert self._stalled is not None
        self._stalled.settimeout(DRAIN_S)
        received, frames, is_cut, until = ServerBytes(), 0, False, monotonic() + DRAIN_S
        with self._stalled, suppress(TimeoutError):
            while not is_cut and monotonic() < until:
                data = self._stalled.recv(65_536)
                frames += sum(opcode == TEXT for opcode, _ in received.fed(data))
                is_cut = not data
        return {"frames": frames, "cut_off": is_cut}


async def main() -> None:
    crowd = Crowd()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await crowd.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
