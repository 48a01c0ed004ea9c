"""Receivers that hang, as this process has seen it: others must not wait for their time-outs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from comfyq.domain.webhook.target import Receiver
from comfyq.ports.clock import Clock

SLOW = timedelta(seconds=4)  # of the 5 s that a receiver has
SPARED = timedelta(seconds=30)  # so long nothing is sent to one that was slow
RECEIVERS = 1_000  # that are remembered


class SlowReceivers:
    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[Receiver, datetime] = {}

    def spared_until(self, receiver: Receiver) -> datetime | None:
        """Return until when nothing is to be sent to a receiver; None: it may be sent to."""
        until = self._until.get(receiver)
        return until if until is not None and self._clock.now() < until else None

    @contextmanager
    def timed(self, receiver: Receiver) -> Iterator[None]:
        """Note how long a receiver takes."""
        began = self._clock.now()
        try:
            yield
        finally:
            now = self._clock.now()
            if now - began >= SLOW:
                self._until.pop(receiver, None)
                self._until[receiver] = now + SPARED
                if len(self._until) > RECEIVERS:
                    del self._until[next(iter(self._until))]
