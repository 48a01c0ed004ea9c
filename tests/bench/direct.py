"""The floor: a client that speaks to ComfyUI itself and does nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp

from comfyq.aio.tasks import beside
from tests.bench.client import Job


class Direct:
    """One socket, as many prompts in ComfyUI's queue as the caller puts there."""

    def __init__(self, session: aiohttp.ClientSession, url: str, client_id: str) -> None:
        self._session, self._url, self._client_id = session, url, client_id
        self._ends: dict[str, asyncio.Event] = {}
        self.listening = asyncio.Event()

    async def submit(self, job: Job) -> str:
        prompt_id = str(uuid4())
        self._ends[prompt_id] = asyncio.Event()
        body = {"prompt": job, "prompt_id": prompt_id, "client_id": self._client_id}
        async with self._session.post(f"{self._url}/prompt", json=body) as answer:
            assert answer.status == 200, await answer.text()
        return prompt_id

    async def image(self, job: Job) -> bytes:
        prompt_id = await self.submit(job)
        await self.follow(prompt_id)
        prompt = (await self._history(prompt_id))[prompt_id]
        image = next(
            image for output in prompt["outputs"].values() for image in output.get("images", [])
        )
        async with self._session.get(f"{self._url}/view", params=image) as answer:
            return await answer.read()

    async def follow(self, job_id: str) -> None:
        await self._ends[job_id].wait()

    async def has_ended(self, job_id: str) -> bool:
        history = await self._history(job_id)
        if job_id not in history:
            return False
        assert history[job_id]["status"]["status_str"] == "success", history
        return True

    async def listen(self) -> None:
        async with self._session.ws_connect(f"{self._url}/ws?clientId={self._client_id}") as socket:
            self.listening.set()
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                event = json.loads(message.data)
                data = event.get("data", {})
                if event["type"] == "executing" and data.get("node") is None:
                    end = self._ends.get(data.get("prompt_id"))
                    if end is not None:
                        end.set()

    async def _history(self, prompt_id: str) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/history/{prompt_id}") as answer:
            history: dict[str, Any] = await answer.json()
            return history


@asynccontextmanager
async def direct(url: str) -> AsyncIterator[Direct]:
    async with aiohttp.ClientSession() as session:
        client = Direct(session, url, uuid4().hex)
        async with beside(client.listen()):
            await client.listening.wait()
            yield client
