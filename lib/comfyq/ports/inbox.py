"""An inbox: messages as others wrote them. Dead letters and submissions both arrive in one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MAX_LETTERS = 10  # of one receive, as SQS


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. Its id is the first that its queue gave it, and stays when it dies."""

    id: str
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)  # those that are text


class LetterDelivery(Protocol):
    """One receipt of a letter. It comes back after the visibility time-out unless acked."""

    @property
    def letter(self) -> Letter: ...

    async def ack(self) -> None:
        """Delete the letter. A receipt that has lapsed is no error: the letter comes again."""
        ...


class Inbox(Protocol):
    """Delivers each letter at least once, in no particular order.

    Raises QueueUnavailable from every method where the engine does not answer.
    """

    @property
    def name(self) -> str:
        """The name of its queue."""
        ...

    async def receive(self, *, wait_s: float) -> Sequence[LetterDelivery]:
        """Up to MAX_LETTERS letters; waits up to ``wait_s`` seconds (20 at most) for the first."""
        ...
