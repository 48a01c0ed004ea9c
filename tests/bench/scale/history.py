"""What ended jobs cost those that come: starts, requests, memory, the disk."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from time import perf_counter

import aiohttp

from tests.bench.client import Client
from tests.bench.front import front
from tests.bench.memory import rss_mb
from tests.bench.rounds import Side, in_turns
from tests.bench.scale.stores import ORIGINALS, Scene, megabytes, request
from tests.bench.scale.tables import Row
from tests.bench.series import Series

ROUNDS = 10
TIMES = 10  # of each request in a round
READS = {
    "a status read": "/generate/{id}",
    "the newest 20 jobs": "/generate?limit=20",
    "20 of a status that few have": "/generate?limit=20&status=failed",
    "20 of a label that none has": "/generate?limit=20&label=nobody%3Dhas",
    "`/health`": "/health",
}
SUBMIT, TO_END = "a submission", "submission to end"
Taken = Mapping[str, Sequence[float]]


def history(scene: Scene, stores: Mapping[str, tuple[Path, int]]) -> Sequence[Row]:
    """Measure stores beside each other, each with its number of copies."""
    with ExitStack() as servers:
        starts, sides, pids = [], {}, []
        for name, (data_dir, _) in stores.items():
            began = perf_counter()
            up = servers.enter_context(scene.served(data_dir))
            starts.append(perf_counter() - began)
            sides[name] = up.url
            pids.append(up.pid)
        taken = asyncio.run(_measured(sides))
        rows = [Row("start of `up` (s)", starts, 1)]
        for what in (SUBMIT, TO_END, *READS):
            values = [Series(taken[name][what]).p50_ms for name in stores]
            rows.append(Row(f"{what}, p50 (ms)", values, 1))
        rows.append(Row("memory of `up` (MB)", [rss_mb(pid) for pid in pids], 0))
    bytes_each = [_bytes_each(data_dir, copies) for data_dir, copies in stores.values()]
    return [*rows, Row("bytes in the file, a job", bytes_each, 0, ratio=False)]


def _bytes_each(data_dir: Path, copies: int) -> float:
    return megabytes(data_dir) * 1e6 / (copies + ORIGINALS) if copies else float("nan")


async def _measured(urls: Mapping[str, str]) -> Mapping[str, Taken]:
    async with AsyncExitStack() as clients, aiohttp.ClientSession() as session:

        async def measure(side: Side) -> Taken:
            return await _turn(side.client, session, urls[side.name])

        sides = [
            Side(name, await clients.enter_async_context(front(url)), "request")
            for name, url in urls.items()
        ]
        await in_turns(sides, 1, measure)
        rounds = await in_turns(sides, ROUNDS, measure)
    return {
        name: {what: [second for turn in turns for second in turn[what]] for what in turns[0]}
        for name, turns in rounds.items()
    }


async def _turn(client: Client, session: aiohttp.ClientSession, url: str) -> Taken:
    submits, ends, job_id = [], [], ""
    for _ in range(TIMES):
        began = perf_counter()
        job_id = await client.submit(request())
        submits.append(perf_counter() - began)
        await client.follow(job_id)
        ends.append(perf_counter() - began)
    reads = {
        what: [await _read(session, url + path.format(id=job_id)) for _ in range(TIMES)]
        for what, path in READS.items()
    }
    return {SUBMIT: submits, TO_END: ends, **reads}


async def _read(session: aiohttp.ClientSession, url: str) -> float:
    began = perf_counter()
    async with session.get(url) as answer:
        await answer.read()
        assert answer.status == 200, (url, answer.status)
    return perf_counter() - began
