"""The same work through comfyq's front door."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from tests.bench.client import ByLink, Job

ENDED = ("completed", "failed", "canceled")


class Front(ByLink):
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        super().__init__(session)
        self._url = url

    async def submit(self, job: Job) -> str:
        async with self._session.post(f"{self._url}/generate", json=job) as answer:
            body = await answer.json()
            assert answer.status == 202, body
            job_id: str = body["id"]
            return job_id

    async def has_ended(self, job_id: str) -> bool:
        async with self._session.get(f"{self._url}/generate/{job_id}") as answer:
            job = await answer.json()
        assert job["status"] not in ("failed", "canceled"), job
        return bool(job["status"] == "completed")

    async def status(self, job_id: str) -> str:
        async with self._session.get(f"{self._url}/generate/{job_id}") as answer:
            return str((await answer.json())["status"])

    async def cancel(self, job_id: str) -> None:
        async with self._session.delete(f"{self._url}/generate/{job_id}") as answer:
            assert answer.status in (200, 202), answer.status

    async def _link(self, job_id: str) -> str:
        """Return the link to the first image, from the frame that tells of the end."""
        async with self._session.ws_connect(f"{self._url}/ws/progress/{job_id}") as socket:
            async for message in socket:
                frame = json.loads(message.data)
                if frame["status"] in ENDED:
                    assert frame["status"] == "completed", frame
                    link: str = frame["image_url"]
                    return link
        raise AssertionError("the socket ended before the job")


@asynccontextmanager
async def front(url: str, *, headers: Mapping[str, str] | None = None) -> AsyncIterator[Front]:
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Front(session, url)
