"""Measures the cost of sockets that follow jobs, and the delay of their frames."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from tests.bench.client import all_at_once, ended
from tests.bench.front import Front, front
from tests.bench.sockets.crowd import Crowd, Opened, crowd
from tests.bench.sockets.delays import Received, delays_ms, percentile, read_posts
from tests.bench.sockets.servers import STEP_S, Served, endless, served
from tests.bench.stack import simulated
from tests.bench.work import many, trivial

# of the generation that announces every step: a newer one, of a long run only each 200th part
STEPS = ("--step-s", STEP_S, "--generation", "0.3.75")
WARM_JOBS = 50
ROUNDS = 2  # of jobs without the sockets, and with them
START_S = 60.0
POLL_S = 0.05
SUBMITTED_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    sockets: int
    jobs: int  # that they follow
    apart: bool  # the worker has a process of its own
    watch_s: float  # for which the frames of one job are looked at
    burst: int  # trivial jobs that are run meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    opened: Opened
    kb_each: float  # memory of the serving process for a socket
    delays: Sequence[float]  # ms
    without: float  # jobs a second of a worker
    beside: float  # with the sockets

    @property
    def p50_ms(self) -> float:
        return percentile(self.delays, 50)

    @property
    def p99_ms(self) -> float:
        return percentile(self.delays, 99)


async def measured(case: Case) -> Figures:
    return await (_one_job(case) if case.jobs == 1 else _own_jobs(case))


async def _one_job(case: Case) -> Figures:
    """Follow a job that goes on at one ComfyUI, while other jobs run at a second one."""
    with (
        simulated(*STEPS) as one,
        simulated(*STEPS) as other,
        served([one.url, other.url], apart=case.apart) as server,
    ):
        async with front(server.up.url) as client, crowd() as sockets:
            job_id = await running(client)
            await _rate(client, WARM_JOBS)
            without = [await _rate(client, case.burst) for _ in range(ROUNDS)]
            paths = [f"/ws/progress/{job_id}"] * case.sockets
            opened, kb_each = await _opened(sockets, server, paths)
            frames = await watched(sockets, case.watch_s)
            beside = [await _rate(client, case.burst) for _ in range(ROUNDS)]
        return Figures(
            opened=opened,
            kb_each=kb_each,
            delays=_delays(server, frames),
            without=sum(without) / ROUNDS,
            beside=sum(beside) / ROUNDS,
        )


async def _own_jobs(case: Case) -> Figures:
    """Follow each of many jobs by a socket of its own, from before it begins to its end."""
    with simulated(*STEPS) as comfyui, served([comfyui.url], apart=case.apart) as server:
        async with front(server.up.url) as client, crowd() as sockets:
            await _rate(client, WARM_JOBS)
            without = await _rate_from_line(client, await _in_line(client, case.jobs))
            line = await _in_line(client, case.jobs)
            paths = [f"/ws/progress/{job_id}" for job_id in line.waiting]
            opened, kb_each = await _opened(sockets, server, paths)
            beside = await _rate_from_line(client, line)
            frames = await sockets.received()
        return Figures(
            opened=opened,
            kb_each=kb_each,
            delays=_delays(server, frames),
            without=without,
            beside=beside,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs that wait behind one that goes on."""

    first: str
    waiting: Sequence[str]


async def _in_line(client: Front, count: int) -> Line:
    first = await running(client)
    places = asyncio.Semaphore(SUBMITTED_AT_ONCE)

    async def submitted(number: int) -> str:
        async with places:
            return await client.submit(jobs[number].request)

    jobs = many(trivial, count)
    return Line(first, await asyncio.gather(*map(submitted, range(count))))


async def _rate_from_line(client: Front, line: Line) -> float:
    """End the job that the others wait for; return how many of them are run a second."""
    began = perf_counter()
    await client.cancel(line.first)
    return len(line.waiting) / (await ended(client, line.waiting) - began)


async def _rate(client: Front, count: int) -> float:
    return count / await all_at_once(client, [work.request for work in many(trivial, count)])


async def running(client: Front) -> str:
    """Start a job that goes on until it is canceled."""
    job_id = await client.submit(endless())
    async with asyncio.timeout(START_S):
        while (status := await client.status(job_id)) != "running":
            assert status == "queued", status
            await asyncio.sleep(POLL_S)
    return job_id


async def watched(sockets: Crowd, watch_s: float) -> Sequence[Received]:
    """Return the frames of so many seconds."""
    await sockets.received()
    await asyncio.sleep(watch_s)
    return await sockets.received()


async def _opened(sockets: Crowd, server: Served, paths: Sequence[str]) -> tuple[Opened, float]:
    """Open all sockets; return how long that took, and the memory of each."""
    before = server.rss_kb()
    opened = await sockets.open(server.up.url, paths)
    return opened, (server.rss_kb() - before) / len(paths)


def _delays(server: Served, frames: Sequence[Received]) -> Sequence[float]:
    return [delay for _, delay in delays_ms(read_posts(server.posts), frames)]
