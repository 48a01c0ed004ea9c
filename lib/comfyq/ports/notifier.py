from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Connection:
    """A client's socket at an API-Gateway-style WebSocket API."""

    id: str
    endpoint: str  # base URL of its @connections API: ``https://host/stage``


class ConnectionGone(Exception):
    """The socket has closed; whoever follows through it follows no more."""


class Notifier(Protocol):
    async def post(self, connection: Connection, frame: bytes) -> None:
        """Send one text frame (UTF-8, 128 KB at most).

        Raises:
            ConnectionGone: the socket has closed.
            NotifierUnavailable: it could not be sent now.
        """
        ...
