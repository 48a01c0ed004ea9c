"""Flows: what the client does, without doing it.

A flow is a generator. It yields an effect, is sent its result (or thrown its error), and decides
what comes next; a driver performs the effects, blocking or not. So each decision stands once.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from comfyq.client.messages import Request

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the result is its Answer. Raises NotReached."""

    request: Request
    read_s: float


@dataclass(frozen=True, slots=True)
class Open:
    """Open an answer as a stream; the result is its Answer. Raises NotReached."""

    request: Request
    read_s: float
    kind: Literal["bytes", "events"]


@dataclass(frozen=True, slots=True)
class Next:
    """Read on in the stream that was opened last: bytes, or the data of an event; None: its end.

    Raises NotReached.
    """


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Call something that blocks, such as the disk; the result is what it returns."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand a value to whoever iterates over the flow."""

    value: Any


Effect: TypeAlias = Send | Open | Next | Pause | Work | Emit
Flow: TypeAlias = Generator[Effect, Any, ValueT]


@dataclass(frozen=True, slots=True)
class Done(Generic[ValueT]):
    """The result of a flow that has ended."""

    value: ValueT


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an effect."""

    value: Any = None
    error: Exception | None = None


def begun(flow: Flow[ValueT]) -> Effect | Done[ValueT]:
    """Return the first effect of a flow."""
    return advanced(flow, Outcome())


def advanced(flow: Flow[ValueT], outcome: Outcome) -> Effect | Done[ValueT]:
    """Tell a flow what came of its effect; return the next one."""
    try:
        return flow.send(outcome.value) if outcome.error is None else flow.throw(outcome.error)
    except StopIteration as end:
        return Done(end.value)


def work(call: Callable[[], ValueT]) -> Flow[ValueT]:
    result: ValueT = yield Work(call)
    return result


def each_emitted(flow: Flow[ValueT], handle: Callable[[Any], Flow[None]]) -> Flow[ValueT]:
    """Run a flow, and another one for each value that it emits, instead of emitting it."""
    try:
        step = begun(flow)
        while not isinstance(step, Done):
            if isinstance(step, Emit):
                yield from handle(step.value)
                step = advanced(flow, Outcome())
            else:
                step = advanced(flow, (yield from _outcome(step)))
        return step.value
    finally:
        flow.close()


def _outcome(effect: Effect) -> Flow[Outcome]:
    try:
        return Outcome((yield effect))
    except Exception as error:
        return Outcome(error=error)
