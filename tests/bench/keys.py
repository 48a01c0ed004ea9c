"""What do API keys and limits cost a request? ``python -m tests.bench.keys``.

Three servers without workers answer the same requests in turns, one at a time. Wanted: p50 with
keys at most 1.1 times that without. The CPU time of a server says the same on a busy machine.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from time import perf_counter

from comfyq.bootstrap.access import opened_keys
from comfyq.config import Settings
from comfyq.domain.caller import DEFAULT_TENANT, Scope
from tests.bench.client import submitted_one_by_one
from tests.bench.cpu import cpu_s
from tests.bench.front import front
from tests.bench.rounds import Side, in_turns
from tests.bench.series import Series
from tests.processes import Processes

ROUNDS = 30
REQUESTS = 20  # of a round
GETS = 3  # for each of them
REQUEST = {"prompt": "a sunset over mountains", "width": 64, "height": 64}
OPEN, KEYED, LIMITED = "without keys", "with keys", "with keys and limits"
LIMITS = {
    "COMFYQ_REQUESTS_PER_MINUTE": "1000000",
    "COMFYQ_KEY_REQUESTS_PER_MINUTE": "1000000",
    "COMFYQ_JOBS_PER_DAY": "1000000",
}
ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {OPEN: {}, KEYED: {}, LIMITED: LIMITS}


@dataclass(frozen=True, slots=True)
class Taken:
    """The seconds of each request of one kind, and the CPU time that they took together."""

    seconds: Sequence[float]
    cpu_s: float

    def __add__(self, other: "Taken") -> "Taken":
        return Taken([*self.seconds, *other.seconds], self.cpu_s + other.cpu_s)

    @property
    def cpu_ms(self) -> float:
        """Return the CPU time of one request."""
        return self.cpu_s / len(self.seconds) * 1e3


Kinds = tuple[Taken, Taken]  # POST and GET


async def new_key(data_dir: Path) -> str:
    """Make a key before its server runs."""
    async with opened_keys(Settings(data_dir=data_dir)) as keys:
        return (await keys.create(DEFAULT_TENANT, "bench", frozenset(Scope), lives=None))[1]


@asynccontextmanager
async def served(servers: Processes, folder: Path, name: str) -> AsyncIterator[Side]:
    """Run a server of one kind, and yield a client of it."""
    data_dir = folder / name.replace(" ", "-")
    is_open = name == OPEN
    headers = {} if is_open else {"X-API-Key": await new_key(data_dir)}
    up = servers.up(
        workers=0,
        data_dir=data_dir,
        options=["--auth", "none" if is_open else "keys"],
        env={"COMFYQ_WAITING_JOBS": "1000000", **ENVIRONMENTS[name]},
    )
    async with front(up.url, headers=headers) as client:
        yield Side(name, client, "request", up.pid)


async def requests(side: Side) -> Kinds:
    """Submit jobs, and ask for each of them."""
    assert side.pid is not None
    start_s = cpu_s(side.pid)
    posts, ids = await submitted_one_by_one(side.client, [REQUEST] * REQUESTS)
    between_s = cpu_s(side.pid)
    gets = []
    for job_id in ids * GETS:
        began = perf_counter()
        await side.client.has_ended(job_id)
        gets.append(perf_counter() - began)
    end_s = cpu_s(side.pid)
    return Taken(posts, between_s - start_s), Taken(gets, end_s - between_s)


async def measure(rounds: int = ROUNDS) -> Mapping[str, Kinds]:
    """Return the durations of POST and of GET, by server."""
    with tempfile.TemporaryDirectory() as name:
        servers = Processes(Path(name))
        try:
            async with AsyncExitStack() as stack:
                sides = [
                    await stack.enter_async_context(served(servers, Path(name), each))
                    for each in ENVIRONMENTS
                ]
                await in_turns(sides, 1, requests)
                taken = await in_turns(sides, rounds, requests)
        finally:
            servers.close()
    return {side: _together(each) for side, each in taken.items()}


def _together(rounds: Sequence[Kinds]) -> Kinds:
    posts, gets = zip(*rounds, strict=True)
    return reduce(add, posts), reduce(add, gets)


def table(measured: Mapping[str, Kinds]) -> str:
    """Return the table of what was measured, each p50 beside that without keys."""
    lines = ["| | p50 / p95 (ms) | p50, times | CPU time (ms) | times |", "|---|---|---|---|---|"]
    for kind, request in enumerate(("POST /generate", "GET /generate/{id}")):
        base = measured[OPEN][kind]
        for name, kinds in measured.items():
            taken = kinds[kind]
            series, p50_ms = Series(taken.seconds), Series(base.seconds).p50_ms
            lines.append(
                f"| {request}, {name} | {series} | {series.p50_ms / p50_ms:.2f} "
                f"| {taken.cpu_ms:.2f} | {taken.cpu_ms / base.cpu_ms:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(asyncio.run(measure())))
