"""The same work through comfyq's front door."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import aiohttp

Request = Mapping[str, Any]
ENDED = ("completed", "failed", "canceled")


class Front:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def submit(self, request: Request) -> str:
        async with self._session.post(f"{self._url}/generate", json=request) as answer:
            body = await answer.json()
            assert answer.status == 202, body
            job_id: str = body["id"]
            return job_id

    async def image(self, request: Request) -> bytes:
        """Run a request; the bytes of its first image, as soon as the socket tells of it."""
        link = await self._followed(await self.submit(request))
        async with self._session.get(link) as answer:
            assert answer.status == 200
            return await answer.read()

    async def ended(self, job_ids: Sequence[str]) -> None:
        """Return when all have ended. The newest is followed before the others are asked, since
        asking costs the server what is being measured."""
        await self._followed(job_ids[-1])
        for job_id in reversed(job_ids):
            status = await self._status(job_id)
            while status not in ENDED:
                await asyncio.sleep(0.02)
                status = await self._status(job_id)
            assert status == "completed", (job_id, status)

    async def _status(self, job_id: str) -> str:
        async with self._session.get(f"{self._url}/generate/{job_id}") as answer:
            status: str = (await answer.json())["status"]
            return status

    async def _followed(self, job_id: str) -> str:
        async with self._session.ws_connect(f"{self._url}/ws/progress/{job_id}") as socket:
            async for message in socket:
                frame = json.loads(message.data)
                if frame["status"] in ENDED:
                    assert frame["status"] == "completed", frame
                    link: str = frame["image_url"]
                    return link
        raise AssertionError("the socket ended before the job")


@asynccontextmanager
async def front(url: str) -> AsyncIterator[Front]:
    async with aiohttp.ClientSession() as session:
        yield Front(session, url)


async def submitted_one_by_one(client: Front, requests: Sequence[Request]) -> list[float]:
    """Seconds that each submission takes."""
    took = []
    for request in requests:
        began = perf_counter()
        await client.submit(request)
        took.append(perf_counter() - began)
    return took


async def one_by_one(client: Front, requests: Sequence[Request]) -> list[float]:
    """Seconds from submission to image of each."""
    took = []
    for request in requests:
        began = perf_counter()
        await client.image(request)
        took.append(perf_counter() - began)
    return took


async def all_at_once(client: Front, requests: Sequence[Request]) -> float:
    """Seconds until all have ended."""
    began = perf_counter()
    ids = await asyncio.gather(*(client.submit(request) for request in requests))
    await client.ended(ids)
    return perf_counter() - began
