from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId


@dataclass(frozen=True, slots=True)
class Connection:
    """A client's socket at an API-Gateway-style WebSocket API."""

    id: str
    endpoint: str  # base URL of its @connections API: ``https://host/stage``


class ConnectionGone(Exception):
    """The socket has closed; whoever follows through it follows no more."""


NotPosted = Mapping[Connection, Exception]
"""The connections that a frame was not sent to, each with what ``Notifier.post`` would raise."""


@dataclass(frozen=True, slots=True)
class Close:
    """What a close frame says: a code, of those of 4000 on that are ours, and a reason."""

    code: int
    reason: str = ""


NORMAL = Close(1000)
SIGNED_OUT = Close(4401, "The API key or token was revoked or has expired; show another one")
TRY_AGAIN = Close(1013, "A frame could not be sent; connect again")


class Notifier(Protocol):
    async def post(self, connection: Connection, frame: bytes) -> None:
        """Send one text frame (UTF-8, 128 KB at most).

        Raises:
            ConnectionGone: the socket has closed.
            NotifierUnavailable: it could not be sent now.
        """
        ...

    async def post_all(
        self, connections: Sequence[Connection], frame: bytes, *, at_once: int | None = None
    ) -> NotPosted:
        """Send one frame to several connections, each as ``post`` does; where they need requests of
        their own, at most ``at_once`` of these are made at the same time."""
        ...

    async def end(self, connection: Connection, close: Close = NORMAL) -> None:
        """Close a client's socket, where the gateway lets us say by which code: API Gateway has its
        own.

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


class LateFrames(Protocol):
    """Frames of batches that another process posts, later: this one may stand still by then."""

    async def ask(self, batch_id: BatchId, by: JobId, *, delay_s: float) -> None:
        """Have those who follow a batch by way of the job ``by`` told how it is, once ``delay_s``
        have passed; raises QueueUnavailable."""
        ...


class Stream(Protocol):
    """An answer that tells its client of changes as they come: a connection like a socket."""

    @property
    def connection(self) -> Connection: ...

    @property
    def is_over(self) -> bool:
        """Return whether no frame will come: the last one was taken, or somebody ended it."""
        ...

    async def next(self, *, within_s: float) -> str | None:
        """Return the newest frame of some kind that was not taken yet; None: none came in time."""
        ...

    def close(self) -> None:
        """End it; what was not taken is dropped."""
        ...


class TooManyStreams(Exception):
    """There are as many streams as there may be; the message says it to the client."""


class Streams(Protocol):
    """Which streams this process holds; frames are posted to them as to sockets."""

    def opened(
        self, client: str, target_id: str, *, since: int = 0
    ) -> AbstractContextManager[Stream]:
        """Hold a stream of one job's frames for a client, known by its address. No frame of it is
        older than version ``since``.

        Raises:
            TooManyStreams.
            NotifierUnavailable: the server is starting or stopping.
        """
        ...
