from collections.abc import Sequence

from comfyq.domain.errors import NotifierUnavailable
from comfyq.ports.notifier import Connection, Notifier
from comfyq.testing.faults.rules import Faults, Rule


class FaultyNotifier:
    def __init__(self, notifier: Notifier, rules: Sequence[Rule]) -> None:
        self._notifier = notifier
        self._faults = Faults(rules, port="notifier", error=NotifierUnavailable)

    async def post(self, connection: Connection, frame: bytes) -> None:
        await self._faults.around(
            "post", frame.decode, lambda: self._notifier.post(connection, frame)
        )

    async def end(self, connection: Connection) -> None:
        await self._faults.around(
            "end", lambda: connection.id, lambda: self._notifier.end(connection)
        )
