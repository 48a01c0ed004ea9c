"""The same work through comfy-api-proxy: Comfy API v2 before one ComfyUI, kept in memory alone."""

import asyncio
import contextlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from comfyq.config import PROJECT
from infra.compat.launches import free_ports
from tests.bench.client import Job
from tests.processes import clean_env

PROGRAM = PROJECT / ".bench" / "bin" / "comfy-api-proxy"
START_S = 60.0
STOP_S = 15.0
# Between questions about a running job, and for each job that is ahead of a waiting one. Its stream
# of events would tell 15 s late of a job that ends while the stream is opened.
POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class ProxyProcess:
    url: str
    pid: int


@contextmanager
def proxied(comfyui_url: str) -> Iterator[ProxyProcess]:
    """Run the proxy before a ComfyUI; AssertionError with its log where it does not answer."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing; `make .bench/.made` installs it"
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        [port] = free_ports(1)
        with subprocess.Popen(
            [PROGRAM, "run", "--comfyui", comfyui_url, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean_env(Path(folder)),
        ) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                _wait_until_healthy(process, url, Path(log.name))
                yield ProxyProcess(url, process.pid)
            finally:
                _stop(process)


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with (
            contextlib.suppress(urllib.error.URLError),
            urllib.request.urlopen(f"{url}/api/v2/health", timeout=START_S),
        ):
            return
        assert process.poll() is None, f"the proxy ended; its log:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"no answer from the proxy; its log:\n{log.read_text()}"
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()


class Proxy:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._jobs = session, f"{url}/api/v2/jobs"

    async def submit(self, job: Job) -> str:
        async with self._session.post(self._jobs, json={"workflow": job}) as answer:
            body = await answer.json()
            assert answer.status == 201, body
            job_id: str = body["id"]
            return job_id

    async def image(self, job: Job) -> bytes:
        link = await self._link(await self.submit(job))
        async with self._session.get(link) as answer:
            assert answer.status == 200
            return await answer.read()

    async def follow(self, job_id: str) -> None:
        await self._link(job_id)

    async def has_ended(self, job_id: str) -> bool:
        return _has_succeeded(await self._job(job_id))

    async def _link(self, job_id: str) -> str:
        """Ask until the job has ended, and return the link to its first output."""
        job = await self._job(job_id)
        while not _has_succeeded(job):
            await asyncio.sleep(POLL_S * (job["queue_position"] or 1))
            job = await self._job(job_id)
        link: str = job["outputs"][0]["url"]
        return link

    async def _job(self, job_id: str) -> dict[str, Any]:
        async with self._session.get(f"{self._jobs}/{job_id}") as answer:
            job: dict[str, Any] = await answer.json()
            assert answer.status == 200, job
            return job


def _has_succeeded(job: dict[str, Any]) -> bool:
    # "expired" is also what it says of a job that ended between its two questions to ComfyUI.
    assert job["status"] in ("queued", "running", "expired", "succeeded"), job
    return bool(job["status"] == "succeeded")


@asynccontextmanager
async def proxy(url: str) -> AsyncIterator[Proxy]:
    async with aiohttp.ClientSession() as session:
        yield Proxy(session, url)
