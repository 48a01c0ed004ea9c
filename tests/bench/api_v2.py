"""The same work through any server of the Comfy API v2, by the same client: comfyq or a proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.bench.client import ByLink, Job

# Between questions about a running job, and for each job that is ahead of a waiting one. The stream
# of events of the proxy would tell 15 s late of a job that ends while the stream is opened.
POLL_S = 0.002
LIVE = ("queued", "running")


class ApiV2(ByLink):
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.reads = 0
        self.false_reads = 0  # that told of a job that goes on, or has succeeded, that it is gone
        super().__init__(session)
        self._jobs = f"{url}/api/v2/jobs"

    async def submit(self, job: Job) -> str:
        async with self._session.post(self._jobs, json={"workflow": job}) as answer:
            body = await answer.json()
            assert answer.status == 201, body
            job_id: str = body["id"]
            return job_id

    async def has_ended(self, job_id: str) -> bool:
        return self._has_succeeded(await self._job(job_id))

    async def begun(self, job_id: str) -> None:
        """Return when the server tells that the job runs, or has run."""
        while True:
            if (await self._job(job_id))["status"] in ("running", "succeeded"):
                return
            await asyncio.sleep(POLL_S)

    async def told(self, job_id: str) -> tuple[int, dict[str, Any]]:
        """Return the status code and the body of one read, whatever they are."""
        async with self._session.get(f"{self._jobs}/{job_id}") as answer:
            return answer.status, await answer.json()

    async def has_picture(self, job_id: str) -> bool:
        """Return whether the first output of a job that has succeeded can be downloaded."""
        _, job = await self.told(job_id)
        async with self._session.get(job["outputs"][0]["url"]) as answer:
            return answer.status == 200 and bool(await answer.read())

    async def _link(self, job_id: str) -> str:
        """Ask until the job has ended, and return the link to its first output."""
        job = await self._job(job_id)
        while not self._has_succeeded(job):
            await asyncio.sleep(POLL_S * (job["queue_position"] or 1))
            job = await self._job(job_id)
        link: str = job["outputs"][0]["url"]
        return link

    async def _job(self, job_id: str) -> dict[str, Any]:
        status, job = await self.told(job_id)
        assert status == 200, job
        return job

    def _has_succeeded(self, job: dict[str, Any]) -> bool:
        # "expired" is also what the proxy says of a job that ended between its two questions to
        # ComfyUI. No job that is measured expires.
        assert job["status"] in (*LIVE, "expired", "succeeded"), job
        self.reads += 1
        self.false_reads += job["status"] == "expired"
        return bool(job["status"] == "succeeded")


@asynccontextmanager
async def api_v2(url: str) -> AsyncIterator[ApiV2]:
    async with aiohttp.ClientSession() as session:
        yield ApiV2(session, url)
