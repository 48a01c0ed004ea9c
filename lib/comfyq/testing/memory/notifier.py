import json
from collections.abc import Sequence
from typing import Any

from comfyq.aio.tasks import failures
from comfyq.domain.errors import DomainError, NotifierUnavailable, TooLarge
from comfyq.ports.notifier import NORMAL, Close, Connection, ConnectionGone, NotPosted

MAX_FRAME_BYTES = 128 * 1024


class MemoryNotifier:
    """Keeps what is posted. Ids put into ``gone`` have closed; endpoints put into ``unavailable``
    do not answer."""

    def __init__(self) -> None:
        self.posts: list[tuple[Connection, bytes]] = []
        self.gone: set[str] = set()
        self.closed: dict[str, Close] = {}  # by ``end``, and how
        self.unavailable: set[str] = set()

    async def post(self, connection: Connection, frame: bytes) -> None:
        if connection.endpoint in self.unavailable:
            raise NotifierUnavailable(f"{connection.endpoint} was told to be unavailable")
        if connection.id in self.gone:
            raise ConnectionGone(connection.id)
        if len(frame) > MAX_FRAME_BYTES:
            raise TooLarge(f"a frame of {len(frame)} bytes; the most is {MAX_FRAME_BYTES}")
        self.posts.append((connection, frame))

    async def post_all(
        self, connections: Sequence[Connection], frame: bytes, *, at_once: int | None = None
    ) -> NotPosted:
        return await failures(
            at_once or len(connections),
            connections,
            lambda each: self.post(each, frame),
            (ConnectionGone, DomainError),
        )

    async def end(self, connection: Connection, close: Close = NORMAL) -> None:
        if connection.endpoint in self.unavailable:
            raise NotifierUnavailable(f"{connection.endpoint} was told to be unavailable")
        if connection.id in self.gone:
            raise ConnectionGone(connection.id)
        self.gone.add(connection.id)
        self.closed[connection.id] = close

    def frames(self, connection_id: str) -> list[dict[str, Any]]:
        """Return the frames that were posted to one connection, in order."""
        return [json.loads(frame) for to, frame in self.posts if to.id == connection_id]
