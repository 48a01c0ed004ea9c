from collections.abc import Callable
from contextlib import AbstractContextManager
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

    async def end(self, connection: Connection) -> None:
        """Close a client's socket.

        Raises:
            ConnectionGone: it was closed before.
            NotifierUnavailable: it could not be closed now.
        """
        ...


Deliver = Callable[[str, bytes], None]
"""(connection id, frame): hands a frame to a socket of this process, and raises what
``Notifier.post`` raises."""


class OwnSockets(Protocol):
    """Which sockets this process holds itself: a frame for one of them needs no request."""

    def attached(self, endpoint: str, deliver: Deliver) -> AbstractContextManager[None]:
        """Within the context, post to connections of ``endpoint`` by ``deliver``, which is called
        in the event loop of the caller of this."""
        ...
