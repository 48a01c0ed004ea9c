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
        self._slow_at: dict[Receiver, datetime] = {}  # when each was slow last
        self._quick: dict[Receiver, None] = {}  # that were not slow when they were sent to last

    def now(self) -> datetime:
        return self._clock.now()

    def spared_until(self, receiver: Receiver) -> datetime | None:
        """Return until when nothing is to be sent to a receiver, which was slow; None: it may be
        sent to."""
        slow_at = self._slow_at.get(receiver)
        if slow_at is None or not _is_spared(slow_at, self._clock.now()):
            return None
        return slow_at + SPARED

    def tenant_spared_until(self, receiver: Receiver, *, since: datetime) -> datetime | None:
        """Return until when nothing is to be sent to a receiver, because others of its tenant are
        slow; None: it may be sent to, as one that is known to be quick always may.

        It has to wait if one of the others was slow after ``since``, or MOST_SLOW of them are
        spared now. Else all receivers that a tenant names would be waited for, one after the other.
        """
        if receiver in self._quick:
            return None
        now = self._clock.now()
        slow = sorted(
            slow_at
            for each, slow_at in self._slow_at.items()
            if each.tenant == receiver.tenant and _is_spared(slow_at, now)
        )
        if slow and slow[-1] > since:
            return slow[-1] + SPARED
        return slow[-MOST_SLOW] + SPARED if len(slow) >= MOST_SLOW else None

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
                _put_last(self._slow_at, receiver, now)
            elif was_tried:
                _put_last(self._quick, receiver, None)


def _is_spared(slow_at: datetime, now: datetime) -> bool:
    return is_recent(slow_at, now, within=SPARED)


def _put_last(known: dict[Receiver, V], receiver: Receiver, value: V) -> None:
    known.pop(receiver, None)
    known[receiver] = value
    if len(known) > RECEIVERS:
        del known[next(iter(known))]
