"""Receivers that hang or are slow, as this process has seen it: others must not wait for them."""

from collections import deque
from collections.abc import Awaitable, Hashable
from datetime import datetime, timedelta
from typing import TypeVar

from comfyq.domain.caller import TenantId
from comfyq.domain.recency import is_recent
from comfyq.domain.webhook.target import Receiver
from comfyq.ports.clock import Clock

SLOW = timedelta(seconds=4)  # of the 5 s that a receiver has
SPARED = timedelta(seconds=30)  # so long nothing is sent to one that was slow
MOST_SLOW = 3  # receivers of a tenant: then those of it that are not known to be quick wait as well
QUICK = timedelta(seconds=1)  # who takes longer takes of its tenant's time
# That a tenant's slow receivers may take within SPARED, together: two of a function's places all
# the while. What else is due to them waits in the table then: in the queue, and in batches of it,
# webhooks of others would wait behind it.
TENANT_TIME = 2 * SPARED
RECEIVERS = 1_000  # that are remembered
TENANTS = 1_000  # whose time is remembered

Sends = deque[tuple[datetime, timedelta]]
"""Sends that were not quick: when each ended, and what it took."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SlowReceivers:
    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._slow_at: dict[Receiver, datetime] = {}  # when each was slow last
        self._quick: dict[Receiver, None] = {}  # that were quick when they were sent to last
        self._sends: dict[TenantId, Sends] = {}

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
        """Return until when nothing is to be sent to a receiver, because those of its tenant take
        too long; None: it may be sent to, as one that is known to be quick always may.

        It has to wait if another one hung after ``since``, or MOST_SLOW of them are spared now:
        else all receivers that a tenant names would be waited for, one after the other. So it has
        if its tenant's receivers have had TENANT_TIME, though each of them answers in the end.
        """
        if receiver in self._quick:
            return None
        now = self._clock.now()
        if (until := self._has_time_at(receiver.tenant, now)) is not None:
            return until
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
            self._note(receiver, began, self._clock.now(), was_tried=was_tried)

    def _note(
        self, receiver: Receiver, began: datetime, ended: datetime, *, was_tried: bool
    ) -> None:
        if ended - began >= QUICK:
            self._quick.pop(receiver, None)
            sends = self._sends.get(receiver.tenant, deque())
            sends.append((ended, ended - began))
            _put_last(self._sends, receiver.tenant, sends, most=TENANTS)
        elif was_tried:
            _put_last(self._quick, receiver, None, most=RECEIVERS)
        if ended - began >= SLOW:
            _put_last(self._slow_at, receiver, ended, most=RECEIVERS)

    def _has_time_at(self, tenant: TenantId, now: datetime) -> datetime | None:
        """Return when a tenant has had less than TENANT_TIME within SPARED again; None: it has."""
        sends = self._sends.get(tenant, deque())
        while sends and not _is_spared(sends[0][0], now):
            sends.popleft()
        taken, until = sum((took for _, took in sends), timedelta()), None
        for ended, took in sends:
            if taken < TENANT_TIME:
                break
            taken, until = taken - took, ended + SPARED
        return until


def _is_spared(slow_at: datetime, now: datetime) -> bool:
    return is_recent(slow_at, now, within=SPARED)


def _put_last(known: dict[K, V], key: K, value: V, *, most: int) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]
