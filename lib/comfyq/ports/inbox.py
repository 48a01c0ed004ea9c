"""The port to a queue of messages with arbitrary bodies: submissions and dead letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MAX_MESSAGES = 10  # of one receive, as SQS


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Its id is the one of its first queue, also in the dead-letter queue."""

    id: str
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)  # those that are text


class MessageDelivery(Protocol):
    """One receipt of a message, which is delivered again after its visibility time-out unless
    acknowledged."""

    @property
    def message(self) -> Message: ...

    async def ack(self) -> None:
        """Delete the message; after a lapsed receipt nothing is deleted, and nothing raised."""
        ...

    async def hide(self, seconds: float) -> None:
        """Deliver the message again that long from now; a lapsed receipt changes nothing."""
        ...


class Inbox(Protocol):
    """Delivers each message at least once, in no particular order.

    Raises QueueUnavailable from every method where the engine does not answer.
    """

    @property
    def name(self) -> str:
        """The name of its queue."""
        ...

    async def receive(self, *, wait_s: float) -> Sequence[MessageDelivery]:
        """Return up to MAX_MESSAGES messages, waiting ``wait_s`` (at most 20) for the first."""
        ...
