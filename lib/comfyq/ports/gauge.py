from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Depth:
    """The approximate number of messages in a queue."""

    waiting: int
    in_flight: int


class QueueGauge(Protocol):
    """Measure a queue, and try rights on it, without changing it.

    Every method raises:
        QueueUnavailable: the queue does not answer, or refuses it.
    """

    async def depth(self) -> Depth: ...

    async def try_receipts(self) -> None:
        """Hide and delete with an invalid receipt, which changes nothing; return if the rights for
        both exist."""
        ...

    async def try_receive(self) -> None:
        """Receive and leave the messages visible. Each receipt counts towards the queue's limit, so
        call this only while the queue is empty."""
        ...
