"""Sending until there is an answer, or no more time."""

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from comfyq.client.effects import Flow, Next, Open, Pause, Send
from comfyq.client.errors import (
    ApiError,
    ComfyqError,
    NotReached,
    RateLimited,
    TimedOut,
    UnexpectedAnswer,
    error_of,
)
from comfyq.client.messages import Answer, Json, Request, json_of
from comfyq.client.shapes import OBJECT, Shape, fault_of

PASSING = frozenset({502, 503, 504})  # a server that cannot do it now
NO_PLACE = "too-many-streams"
SHORTEST_READ_S = 0.05

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Pauses and limits of the client where a server does not answer, or says "later"."""

    give_up_s: float = 90  # of one call; a restart of a server takes seconds
    pause_s: float = 0.2  # before it is sent again; doubled up to
    longest_pause_s: float = 5

    def pauses(self) -> Iterator[float]:
        """Yield the pauses; their spread keeps clients that were cut off together apart."""
        pause_s = self.pause_s
        while True:
            yield pause_s * random.uniform(0.8, 1.2)
            pause_s = min(pause_s * 2, self.longest_pause_s)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time by which a call of the client has to have returned."""

    clock: Clock
    at: float  # of the clock; infinity: never
    allowed_s: float = math.inf  # for all of the call

    @property
    def left_s(self) -> float:
        return max(0.0, self.at - self.clock())

    @property
    def is_over(self) -> bool:
        return self.left_s <= 0

    def check(self, waited_for: str) -> None:
        """Raise TimedOut if it is over."""
        if self.is_over:
            raise TimedOut(f"{waited_for} within {self.allowed_s:g} s, the time that was given")

    def paused(self, pause_s: float) -> Flow[None]:
        """Pause, but not beyond the deadline."""
        yield Pause(min(pause_s, self.left_s))


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends requests as flows, and sends again what can be."""

    patience: Patience
    clock: Clock = time.monotonic
    on_wait: Callable[[ComfyqError], object] = lambda _: None  # told why a request is sent again

    def deadline(self, timeout_s: float | None) -> Deadline:
        allowed_s = math.inf if timeout_s is None else timeout_s
        return Deadline(self.clock, self.clock() + allowed_s, allowed_s)

    def json(self, request: Request, deadline: Deadline) -> Flow[Json]:
        """Return the JSON object of an answer; raises as ``answer``."""
        answer = yield from self.answer(request, deadline)
        return object_of(answer, request.expects)

    def answer(self, request: Request, deadline: Deadline) -> Flow[Answer]:
        """Return the answer to a request.

        Raises:
            ApiError: the server will not do it, or still cannot.
            NotReached: nobody answers.
            TimedOut: the deadline is over before anybody has.
        """
        return (yield from self._persisted(request, deadline, lambda s: Send(request, s)))

    def opened(self, request: Request, deadline: Deadline, *, events: bool = False) -> Flow[Answer]:
        """Open an answer as a stream, which ``Next`` reads; raises as ``answer``."""
        kind: Literal["bytes", "events"] = "events" if events else "bytes"
        return (yield from self._persisted(request, deadline, lambda s: Open(request, s, kind)))

    def _persisted(
        self, request: Request, deadline: Deadline, effect: Callable[[float], Send | Open]
    ) -> Flow[Answer]:
        give_up_at = min(deadline.at, self.clock() + self.patience.give_up_s)
        is_told = False
        for pause_s in self.patience.pauses():
            read_s = max(SHORTEST_READ_S, min(request.read_s, deadline.left_s))
            error: ComfyqError
            try:
                answer: Answer = yield effect(read_s)
            except NotReached as away:
                error = away
            else:
                if answer.status < 400:
                    return answer
                error = error_of(answer)
            pause_s = max(pause_s, error.retry_after_s or 0)
            if not may_repeat(request, error) or self.clock() + pause_s > give_up_at:
                if isinstance(error, NotReached) and self.clock() + pause_s > deadline.at:
                    told = f"there was no answer within {deadline.allowed_s:g} s"
                    raise TimedOut(f"{told}: {error}") from error
                raise error
            if not is_told:
                self.on_wait(error)
                is_told = True
            yield Pause(pause_s)
        raise AssertionError("pauses never end")


def may_repeat(request: Request, error: ComfyqError) -> bool:
    """Return whether a request may be sent again after an error, and may then succeed."""
    if isinstance(error, NotReached):
        return not error.is_hopeless and (error.unsent or request.repeatable)
    if isinstance(error, RateLimited):
        return True  # nothing was done
    passes = isinstance(error, ApiError) and error.status in PASSING and error.code != NO_PLACE
    return passes and request.repeatable


def next_of_stream() -> Flow[bytes | None]:
    """Return what comes next in the opened stream; None: it has ended."""
    read: bytes | None = yield Next()
    return read


def object_of(answer: Answer, expects: Shape = OBJECT) -> Json:
    """Return the JSON object of an answer; raises UnexpectedAnswer if it has another shape."""
    value = json_of(answer.content)
    if fault := fault_of(value, expects):
        raise UnexpectedAnswer(answer.url.partition("?")[0], fault)
    return dict(value)
