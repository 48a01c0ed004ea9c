import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from comfyq.domain.errors import Unavailable

When = Literal["before", "after"]
Deed = Literal["kill", "raise", "crash", "delay", "lose", "repeat", "late"]
T = TypeVar("T")

CALLS: Mapping[str, Sequence[str]] = {
    "table": ("get", "query", "write", "count"),
    "queue": ("send", "receive", "take", "ack", "hide"),
    "assets": ("put", "read", "delete", "link"),
    "notifier": ("post",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One fault; the package says what the fields mean. Raises ValueError for one that is none."""

    port: str
    call: str
    do: Deed
    when: When = "before"
    about: str = ""
    at: int = 1
    times: int = 1
    every: int = 1
    seconds: float = 0

    def __post_init__(self) -> None:
        if self.call not in CALLS.get(self.port, ()):
            raise ValueError(f"there is no call {self.port}.{self.call} to fail")
        if self.do not in get_args(Deed) or self.when not in get_args(When):
            raise ValueError(f"no fault does {self.do!r} {self.when!r} a call")

    def strikes(self, count: int) -> bool:
        """Return whether the ``count``-th call, from 1, is one of its own."""
        struck, off = divmod(count - self.at, self.every)
        return struck >= 0 and off == 0 and (self.times == 0 or struck < self.times)


def rules_of(described: Sequence[Mapping[str, Any]]) -> Sequence[Rule]:
    """Raises ValueError for a rule that is none."""
    try:
        return [Rule(**fields) for fields in described]
    except TypeError as unknown:
        raise ValueError(f"no rule of a fault: {unknown}") from None


class Faults:
    """The rules of one port, and how many calls each has counted."""

    def __init__(
        self, rules: Sequence[Rule], *, port: str, error: Callable[[str], Unavailable]
    ) -> None:
        self._rules = [rule for rule in rules if rule.port == port]
        self._counts = dict.fromkeys(range(len(self._rules)), 0)
        self._error = error
        self._late: set[asyncio.Future[None]] = set()

    async def around(
        self, call: str, about: Callable[[], str], work: Callable[[], Awaitable[T]]
    ) -> T | None:
        """Make a call with what strikes it; None where it was lost."""
        struck = list(self._struck(call, about))
        for rule in struck:
            if rule.when == "before":
                await self._do(rule)
        if any(rule.do == "lose" for rule in struck):
            return None
        late_s = [rule.seconds for rule in struck if rule.do == "late"]
        if late_s:
            later = asyncio.ensure_future(_later(max(late_s), work))
            self._late.add(later)
            later.add_done_callback(self._late.discard)
            return None
        if any(rule.do == "repeat" for rule in struck):
            await work()
        result = await work()
        for rule in struck:
            if rule.when == "after":
                await self._do(rule)
        return result

    async def ask(self, call: str, about: Callable[[], str], work: Callable[[], Awaitable[T]]) -> T:
        """``around`` for a call that has an answer."""
        answer: list[T] = []

        async def asked() -> None:
            answer.append(await work())

        await self.around(call, about, asked)
        if not answer:
            raise ValueError(f"a fault lost {call}, which has an answer")
        return answer[-1]

    def _struck(self, call: str, about: Callable[[], str]) -> Iterator[Rule]:
        for index, rule in enumerate(self._rules):
            if rule.call != call or (rule.about and rule.about not in about()):
                continue
            self._counts[index] += 1
            if rule.strikes(self._counts[index]):
                yield rule

    async def _do(self, rule: Rule) -> None:
        match rule.do:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise self._error(f"{rule.port}.{rule.call} was made to fail")
            case "crash":
                raise ZeroDivisionError(f"{rule.port}.{rule.call} was made to crash")
            case "delay":
                await asyncio.sleep(rule.seconds)
            case "lose" | "repeat" | "late":
                pass  # what becomes of the call itself, in ``around``


async def _later(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Make a call that its caller believes to have been made: nobody is there for its errors."""
    await asyncio.sleep(seconds)
    with suppress(Exception):
        await work()
