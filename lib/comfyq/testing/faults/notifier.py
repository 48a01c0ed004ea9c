from collections.abc import Sequence

from comfyq.aio.tasks import failures
from comfyq.domain.errors import DomainError, NotifierUnavailable
from comfyq.ports.notifier import (
    NORMAL,
    Close,
    Connection,
    ConnectionGone,
    Notifier,
    NotPosted,
)
from comfyq.testing.faults.rules import Faults, Rule


class FaultyNotifier:
    def __init__(self, notifier: Notifier, rules: Sequence[Rule]) -> None:
        self._notifier = notifier
        self._faults = Faults(rules, port="notifier", error=NotifierUnavailable)

    async def post(self, connection: Connection, frame: bytes) -> None:
        await self._faults.around(
            "post", frame.decode, lambda: self._notifier.post(connection, frame)
        )

    async def post_all(
        self, connections: Sequence[Connection], frame: bytes, *, at_once: int | None = None
    ) -> NotPosted:
        """Post to each by itself, so that faults strike each post."""
        return await failures(
            at_once or len(connections),
            connections,
            lambda each: self.post(each, frame),
            (ConnectionGone, DomainError),
        )

    async def end(self, connection: Connection, close: Close = NORMAL) -> None:
        await self._faults.around(
            "end", lambda: connection.id, lambda: self._notifier.end(connection, close)
        )
