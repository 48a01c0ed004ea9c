"""Receivers to which nothing arrives: after days they are left alone, but for a try an hour."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

PAUSED_AFTER = timedelta(days=3)  # in which nothing has arrived
QUIET = timedelta(days=1)  # without a try: what failed before says nothing of these days
NOTED_EVERY = timedelta(hours=1)  # that it still fails
TRIED_EVERY = timedelta(hours=1)  # while it is paused: once something arrives, all is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingReceiver:
    """One of a tenant's receivers since something did not arrive, until something does."""

    origin: str  # scheme, host and port
    since: datetime
    failed_at: datetime  # the last time, to the hour
    error: str  # of the try that failed first, or that paused it
    paused_until: datetime | None = None  # the next try; None: everything is tried
    version: int = 1

    def waits(self, now: datetime) -> bool:
        """Return whether nothing is sent now."""
        return self.paused_until is not None and now < self.paused_until

    def is_paused(self, now: datetime) -> bool:
        """Return whether it is paused, and there is something to tell it: what was tried last over
        a day ago is given up meanwhile."""
        return self.paused_until is not None and now - self.failed_at <= QUIET


def failed(receiver: FailingReceiver, error: str, *, now: datetime) -> FailingReceiver:
    """Note one more try that failed; the same object if that changes nothing."""
    noted = replace(receiver, failed_at=now, version=receiver.version + 1)
    if receiver.paused_until is None:
        if now - receiver.failed_at > QUIET:
            return replace(noted, since=now, error=error)
        if now - receiver.since < PAUSED_AFTER:
            return receiver if now - receiver.failed_at < NOTED_EVERY else noted
    return replace(noted, error=error, paused_until=now + TRIED_EVERY)


def taken(receiver: FailingReceiver, *, now: datetime) -> FailingReceiver:
    """Take the try of an hour: who stores this first makes it."""
    return replace(receiver, paused_until=now + TRIED_EVERY, version=receiver.version + 1)
