"""What every measured server is asked for, in the same way, by a client of its own API."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

import aiohttp

Job = Mapping[str, Any]  # as the server takes it: a graph, or a request to comfyq

POLL_S = 0.02
READERS = 8  # connections on which status is read at once


class Client(Protocol):
    async def submit(self, job: Job) -> str:
        """Return the job's id once it is accepted."""
        ...

    async def image(self, job: Job) -> bytes:
        """Run a job and return its first image, by the fastest way that the API offers."""
        ...

    async def follow(self, job_id: str) -> None:
        """Return when the server tells that the job has ended."""
        ...

    async def has_ended(self, job_id: str) -> bool:
        """Read the job's status once; AssertionError where it has ended without success."""
        ...


class ByLink(ABC):
    """A client of a server that tells by a link where a job's first image is."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @abstractmethod
    async def submit(self, job: Job) -> str: ...

    @abstractmethod
    async def _link(self, job_id: str) -> str:
        """Return the link to the first image of a job, once it has ended."""

    async def image(self, job: Job) -> bytes:
        link = await self._link(await self.submit(job))
        async with self._session.get(link) as answer:
            assert answer.status == 200
            return await answer.read()

    async def follow(self, job_id: str) -> None:
        await self._link(job_id)


async def submitted_one_by_one(
    client: Client, jobs: Sequence[Job]
) -> tuple[list[float], list[str]]:
    """Return the seconds that each submission takes, and the jobs' ids."""
    took, ids = [], []
    for job in jobs:
        began = perf_counter()
        ids.append(await client.submit(job))
        took.append(perf_counter() - began)
    return took, ids


async def one_by_one(client: Client, jobs: Sequence[Job]) -> list[float]:
    """Return the seconds from submission to image of each."""
    took = []
    for job in jobs:
        began = perf_counter()
        await client.image(job)
        took.append(perf_counter() - began)
    return took


async def all_at_once(client: Client, jobs: Sequence[Job]) -> float:
    """Return the seconds until all have ended."""
    began = perf_counter()
    ids = await asyncio.gather(*(client.submit(job) for job in jobs))
    return await ended(client, ids) - began


async def ended(client: Client, job_ids: Sequence[str]) -> float:
    """Wait until all have ended, and return the moment of the last end.

    The newest is followed before the others are asked: asking costs the server what is being
    measured. A job that is found to have ended when it is first asked ended before that moment.
    """
    *others, newest = job_ids
    await client.follow(newest)
    moment = perf_counter()
    for job_id in reversed(others):
        while not await client.has_ended(job_id):
            await asyncio.sleep(POLL_S)
            moment = perf_counter()
    return moment


async def status_reads(client: Client, job_id: str, count: int) -> float:
    """Return the seconds that so many reads of a job's status take, several at a time."""

    async def reader() -> None:
        for _ in range(count // READERS):
            await client.has_ended(job_id)

    began = perf_counter()
    await asyncio.gather(*(reader() for _ in range(READERS)))
    return perf_counter() - began
