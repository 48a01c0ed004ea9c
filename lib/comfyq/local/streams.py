"""Streams of this process: answers over HTTP that frames are posted to as to sockets.

Each has a connection of its own at the gateway's @connections API, so whoever announces a change,
or revokes a key, needs not know that it is no socket.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

from comfyq.domain.errors import NotifierUnavailable
from comfyq.edges.api.open_answers.event_stream import kind_of
from comfyq.local.gateway_events import new_id
from comfyq.local.job_frames import JobFrames
from comfyq.local.limits.places import Places
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import NORMAL, Close, Connection, TooManyStreams
from comfyq.telemetry.numbers import STREAMS


class LiveStream:
    """An open stream; of each kind of frame it keeps only the newest one for its client."""

    user_agent = ""

    def __init__(
        self, connection: Connection, *, client: str, following: JobFrames, clock: Clock
    ) -> None:
        self.connection = connection
        self.client_host = client
        self.open = True
        self.connected_at = self.last_active_at = clock.now()
        self._clock = clock
        self._following = following
        self._untaken: dict[str, str] = {}  # by kind
        self._news = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return not self._untaken and (not self.open or self._following.ended)

    def post(self, text: str) -> None:
        """Keep a frame, in the place of an older one that the client has not taken: so a slow
        reader costs one frame of each kind, and an end is never dropped."""
        if self.open and self._following.admit(text):
            kind = kind_of(json.loads(text))
            if self._following.ended:
                self._untaken.clear()
            self._untaken.pop(kind, None)
            self._untaken[kind] = text
            self._news.set()

    async def next(self, *, within_s: float) -> str | None:
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return None
        if not self._untaken:
            return None
        self.last_active_at = self._clock.now()
        frame = self._untaken.pop(next(iter(self._untaken)))
        if self.open and not self._untaken:
            self._news.clear()
        return frame

    def close(self, close: Close = NORMAL) -> None:
        """End it; an answer over HTTP has no place for what a close frame says."""
        self.open = False
        self._untaken.clear()
        self._news.set()


class LocalStreams:
    """Holds streams while their connections are ``reachable``."""

    def __init__(self, *, places: Places, clock: Clock) -> None:
        self.live: dict[str, LiveStream] = {}  # by the connection's id
        self._places = places
        self._clock = clock
        self._endpoint: str | None = None

    @contextmanager
    def reachable(self, endpoint: str) -> Iterator[None]:
        """Within the context, what is posted to connections of ``endpoint`` comes here."""
        self._endpoint = endpoint
        try:
            yield
        finally:
            self.stop()

    @contextmanager
    def opened(self, client: str, target_id: str, *, since: int = 0) -> Iterator[LiveStream]:
        if self._endpoint is None:
            raise NotifierUnavailable("the server is starting or stopping")
        if not self._places.take(client):
            raise TooManyStreams("there are too many streams; close some, or poll")
        connection = Connection(new_id(), self._endpoint)
        following = JobFrames(target_id, since=since)
        stream = LiveStream(connection, client=client, following=following, clock=self._clock)
        self.live[connection.id] = stream
        STREAMS.add()
        try:
            yield stream
        finally:
            stream.close()
            del self.live[connection.id]
            STREAMS.add(by=-1)
            self._places.leave(client)

    def stop(self) -> None:
        """End every stream and take no more: the clients come back to the server's successor."""
        self._endpoint = None
        for stream in list(self.live.values()):
            stream.close()
