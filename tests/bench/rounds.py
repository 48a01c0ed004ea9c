"""Servers that are measured beside each other, in turns: what slows the machine strikes all."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from tests.bench.client import Client, Job
from tests.bench.work import Kind, many

Measured = TypeVar("Measured")

TURN_S = 300.0  # after which a turn is given up


@dataclass(frozen=True, slots=True)
class Side:
    """A server, the form in which it takes jobs, and the process whose CPU time is measured."""

    name: str
    client: Client
    form: Literal["graph", "request"]
    pid: int | None = None

    def jobs(self, kind: Kind, count: int) -> Sequence[Job]:
        return [getattr(work, self.form) for work in many(kind, count)]


async def in_turns(
    sides: Sequence[Side], rounds: int, measure: Callable[[Side], Awaitable[Measured]]
) -> Mapping[str, Sequence[Measured]]:
    """Measure every side once a round, each round beginning with another; results by side."""
    results: dict[str, list[Measured]] = {side.name: [] for side in sides}
    for number in range(rounds):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            async with asyncio.timeout(TURN_S):
                results[side.name].append(await measure(side))
    return results
