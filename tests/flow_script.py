"""Performs the effects of the client's flows from a script, with a clock of its own."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from comfyq.client.effects import (
    Done,
    Effect,
    Emit,
    Flow,
    Next,
    Open,
    Outcome,
    Pause,
    Send,
    advanced,
    begun,
)
from comfyq.client.errors import NotReached
from comfyq.client.messages import Answer, Request
from comfyq.client.sender import Patience, Sender

ValueT = TypeVar("ValueT")
Scripted = Answer | NotReached | tuple[Answer, Sequence[str | bytes | NotReached]]


def answered(status: int = 200, body: Any = None, **headers: str) -> Answer:
    """Return an answer; ``retry_after`` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = json.dumps({} if body is None else body).encode()
    return Answer(
        url="http://server", status=status, reason="So it is", headers=named, content=content
    )


def problem(status: int, code: str, **headers: str) -> Answer:
    return answered(status, {"code": code, "detail": f"{code}, says the script"}, **headers)


def streamed(*events: Mapping[str, Any] | NotReached) -> Scripted:
    """Return a stream of frames; an error cuts it."""
    items = [each if isinstance(each, NotReached) else json.dumps(each) for each in events]
    return answered(), items


@dataclass
class Script:
    """Answers one request after the other; asks for more than it has are errors of the test."""

    answers: Iterable[Scripted]
    now: float = 1_000.0
    requests: list[Request] = field(default_factory=list)
    read_s: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    emitted: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = iter(self.answers)
        self._stream: Any = iter(())

    def sender(self, **patience: float) -> Sender:
        return Sender(Patience(**patience), lambda: self.now)

    def run(self, make: Callable[[], Flow[ValueT]]) -> ValueT:
        flow = make()
        step = begun(flow)
        while not isinstance(step, Done):
            step = advanced(flow, self._outcome(step))
        return step.value

    def _outcome(self, effect: Effect) -> Outcome:
        match effect:
            case Send() | Open():
                self.requests.append(effect.request)
                self.read_s.append(effect.read_s)
                scripted = next(self._left)
                if isinstance(scripted, NotReached):
                    return Outcome(error=scripted)
                answer, stream = scripted if isinstance(scripted, tuple) else (scripted, ())
                if isinstance(effect, Open):
                    self._stream = iter(stream)
                return Outcome(answer)
            case Next():
                item = next(self._stream, None)
                return Outcome(error=item) if isinstance(item, NotReached) else Outcome(item)
            case Pause():
                self.pauses.append(effect.seconds)
                self.now += effect.seconds
                return Outcome()
            case Emit():
                self.emitted.append(effect.value)
                return Outcome()
            case _:
                return Outcome(effect.call())
