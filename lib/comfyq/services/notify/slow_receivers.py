"""Receivers that hang, as this process has seen it: others must not wait for their time-outs."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TypeVar

from comfyq.domain.recency import is_recent
from comfyq.domain.webhook.target import Receiver
from comfyq.ports.clock import Clock

SLOW = timedelta(seconds=4)  # of the 5 s that a receiver has
SPARED = timedelta(seconds=30)  # so long nothing is sent to one that was slow
MOST_SLOW = 3  # receivers of a tenant: then those of it that are not known to be quick wait as well
RECEIVERS = 1_000  # that are remembered

V = TypeVar("V")


class SlowReceivers:
    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[Receiver, datetime] = {}
        self._quick: dict[Receiver, None] = {}  # that were not slow when they were sent to last

    def now(self) -> datetime:
        return self._clock.now()

    def spared_until(self, receiver: Receiver) -> datetime | None:
        """Return until when nothing is to be sent to a receiver; None: it may be sent to."""
        until = self._until.get(receiver)
        return until if until is not None and _is_spared(until, self._clock.now()) else None

    def tenant_spared_until(self, receiver: Receiver, *, since: datetime) -> datetime | None:
        """Return until when nothing is to be sent to a receiver because others of its tenant were
        slow, one of them ``since`` then or MOST_SLOW before: else as many as a tenant names would
        be waited for, one after the other."""
        if receiver in self._quick:
            return None
        now = self._clock.now()
        slow = sorted(
            until
            for each, until in self._until.items()
            if each.tenant == receiver.tenant and _is_spared(until, now)
        )
        if slow and slow[-1] > since + SPARED:
            return slow[-1]
        return slow[-MOST_SLOW] if len(slow) >= MOST_SLOW else None

    async def timed(self, receiver: Receiver, sending: Awaitable[bool]) -> None:
        """Send to a receiver and note how long it takes; ``sending`` returns whether it was tried:
        what is not due says of nobody that it is quick."""
        began, was_tried = self._clock.now(), False
        try:
            was_tried = await sending
        finally:
            now = self._clock.now()
            if now - began >= SLOW:
                self._quick.pop(receiver, None)
                _put_last(self._until, receiver, now + SPARED)
            elif was_tried:
                _put_last(self._quick, receiver, None)


def _is_spared(until: datetime, now: datetime) -> bool:
    return is_recent(until - SPARED, now, within=SPARED)


def _put_last(known: dict[Receiver, V], receiver: Receiver, value: V) -> None:
    known.pop(receiver, None)
    known[receiver] = value
    if len(known) > RECEIVERS:
        del known[next(iter(known))]
