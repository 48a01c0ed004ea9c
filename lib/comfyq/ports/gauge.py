from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Depth:
    """The approximate number of messages in a queue."""

    waiting: int
    in_flight: int


class QueueGauge(Protocol):
    """Looks at a queue of another machine and leaves it as it is.

    Every method raises:
        QueueUnavailable: the queue does not answer, or refuses it.
    """

    async def depth(self) -> Depth: ...

    async def try_receipts(self) -> None:
        """Hide and delete with a receipt that nobody was given: return if both are allowed."""
        ...

    async def try_receive(self) -> None:
        """Receive and leave what comes visible to all; each receipt counts, so only of an empty
        queue is that harmless."""
        ...
