"""Streams of server-sent events over an application in memory, read event by event."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from comfyq.bootstrap.api import api_app
from comfyq.domain.job import Job, JobId
from comfyq.local.limits.places import Places
from comfyq.local.streams import LocalStreams
from comfyq.ports.notifier import NORMAL, Close, Connection, ConnectionGone
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.access_lab import AccessLab

ENDPOINT = "http://127.0.0.1:1/local"
WAIT_S = 10


class StreamNotifier(MemoryNotifier):
    """Posts to streams as the gateway does; a connection that is none of theirs has closed."""

    def __init__(self, streams: LocalStreams) -> None:
        super().__init__()
        self._streams = streams

    async def post(self, connection: Connection, frame: bytes) -> None:
        await super().post(connection, frame)
        if (stream := self._streams.live.get(connection.id)) is None:
            raise ConnectionGone(connection.id)
        stream.post(frame.decode())

    async def end(self, connection: Connection, close: Close = NORMAL) -> None:
        await super().end(connection, close)
        self._streams.live[connection.id].close(close)


class EventLab(AccessLab):
    """An API whose answers may stay open: the streams that it holds are reachable."""

    def __init__(
        self, *, most_streams: int = 100, is_socket: bool = False, **settings: Any
    ) -> None:
        """``is_socket``: followers are sockets, which keep whatever is posted to them."""
        places = Places(total=most_streams, each_client=most_streams)
        self.streams = LocalStreams(places=places, clock=ManualClock())
        notifier = MemoryNotifier() if is_socket else StreamNotifier(self.streams)
        own: dict[str, Any] = {"COMFYQ_AUTH": "none", "notifier": notifier}
        super().__init__(**(own | settings))
        self.app = api_app(self.services, streams=self.streams)
        self._reachable = self.streams.reachable(ENDPOINT)
        self._reachable.__enter__()

    @property
    def followers(self) -> set[str]:
        """What is stored of whoever follows a job, by the key."""
        return {pk for pk, sk in self.table._items if pk.startswith("CONN#") or "SUB#" in sk}

    async def announce(self, job: Job) -> Job:
        """Tell a job's followers how it is, as its worker does."""
        if job.status.terminal:
            return await self.services.announcer.announce_end(job)
        await self.services.announcer.announce(job)
        return job

    async def submitted(self) -> Job:
        return await self.records.get(JobId(self.submit()["id"]))


@dataclass
class Reader:
    """A client of one request; while it is ``paused`` it reads nothing of the answer."""

    sent: bytes = b""  # with the request
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_over: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _may_read: asyncio.Event = field(default_factory=asyncio.Event)
    _left: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: bool = False

    def pause(self) -> None:
        self._may_read.clear()

    def go_on(self) -> None:
        self._may_read.set()

    def leave(self) -> None:
        self._left.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events so far, each with its id, name and frame."""
        parts = [part for part in self.body.decode().split("\n\n") if "data: " in part]
        return [_event(part) for part in parts]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def until(self, holds: Any) -> None:
        """Wait until ``holds`` of what was read; fail if it does not in time."""
        async with asyncio.timeout(WAIT_S):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()

    async def end(self) -> None:
        await self.until(lambda self: self.is_over)

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self.sent, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self._may_read.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]
        self._changed.set()

    def finish(self, task: "asyncio.Task[None]") -> None:
        self.is_over = True
        self._changed.set()


@asynccontextmanager
async def reading(
    app: ASGIApp,
    path: str,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    posted: Any = None,
) -> AsyncIterator[Reader]:
    """Send a GET, or a POST of JSON, and read its answer meanwhile."""
    shown = {} if key is None else {"authorization": f"Bearer {key}"}
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET" if posted is None else "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50_000),
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {"host": "127.0.0.1:8000", **shown, **(headers or {})}.items()
        ],
    }
    if posted is not None:
        scope["headers"].append((b"content-type", b"application/json"))
    reader = Reader(b"" if posted is None else json.dumps(posted).encode())
    reader.go_on()
    task = asyncio.create_task(_answered(app, scope, reader))
    task.add_done_callback(reader.finish)
    try:
        yield reader
    finally:
        reader.go_on()
        reader.leave()
        async with asyncio.timeout(WAIT_S):
            await task


async def _answered(app: ASGIApp, scope: Scope, reader: Reader) -> None:
    await app(scope, reader.receive, reader.send)


def _event(part: str) -> dict[str, Any]:
    lines = dict(line.split(": ", 1) for line in part.split("\n") if not line.startswith(":"))
    return {
        "id": int(lines["id"]),
        "event": lines["event"],
        "frame": json.loads(lines["data"]),
    }
