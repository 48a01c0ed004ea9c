"""Tickets: what a browser shows in the URL of a socket or ``EventSource``, to whose request it can
add no header.

URLs are written to logs, so a ticket lets in once, and within a minute.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import Unauthenticated
from comfyq.ports.clock import Clock
from comfyq.records.access.tickets import TicketRecords
from comfyq.records.times import to_ms

LIVES = timedelta(seconds=60)
TICKET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ticket:
    text: str
    expires_at: datetime


class Tickets:
    def __init__(self, *, records: TicketRecords, clock: Clock, draw: Callable[[int], str]) -> None:
        """``draw`` returns so many random bytes as hexadecimal digits."""
        self._records = records
        self._clock = clock
        self._draw = draw

    async def issue(self, caller: Caller, *, only_job: str | None = None) -> Ticket:
        """Make a ticket that opens one socket or stream as ``caller``, who may only read through
        it, and if ``only_job`` is given only follow that job."""
        expires_at = self._clock.now() + LIVES
        if caller.until is not None:
            expires_at = min(expires_at, caller.until)
        text = self._draw(TICKET_BYTES)
        reader = replace(caller, scopes=caller.scopes & {Scope.READ}, only_job=only_job)
        await self._records.add(_hash(text), reader, ttl=to_ms(expires_at) // 1000)
        return Ticket(text, expires_at)

    async def redeem(self, text: str) -> Caller:
        """Return whom a ticket lets in; raises Unauthenticated, also at its second use."""
        caller = await self._records.take(_hash(text))
        if caller is None:
            raise Unauthenticated("the ticket is unknown, used or expired", given=True)
        return caller


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
