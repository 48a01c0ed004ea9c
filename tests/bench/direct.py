"""The floor: a client that speaks to ComfyUI itself and does nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any
from uuid import uuid4

import aiohttp

Graph = Mapping[str, Any]


class Direct:
    """One socket, as many prompts in ComfyUI's queue as the caller puts there."""

    def __init__(self, session: aiohttp.ClientSession, url: str, client_id: str) -> None:
        self._session, self._url, self._client_id = session, url, client_id
        self._ended: dict[str, asyncio.Future[None]] = {}
        self.listening = asyncio.Event()

    async def image(self, graph: Graph) -> bytes:
        """Run a graph; the bytes of its first image."""
        prompt_id = str(uuid4())
        self._ended[prompt_id] = asyncio.get_running_loop().create_future()
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": self._client_id}
        async with self._session.post(f"{self._url}/prompt", json=body) as answer:
            assert answer.status == 200, await answer.text()
        await self._ended[prompt_id]
        del self._ended[prompt_id]
        return await self._fetch(prompt_id)

    async def listen(self) -> None:
        async with self._session.ws_connect(f"{self._url}/ws?clientId={self._client_id}") as socket:
            self.listening.set()
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                told = json.loads(message.data)
                data = told.get("data", {})
                if told["type"] == "executing" and data.get("node") is None:
                    waiting = self._ended.get(data.get("prompt_id"))
                    if waiting is not None and not waiting.done():
                        waiting.set_result(None)

    async def _fetch(self, prompt_id: str) -> bytes:
        async with self._session.get(f"{self._url}/history/{prompt_id}") as answer:
            history = (await answer.json())[prompt_id]
        image = next(
            image for output in history["outputs"].values() for image in output.get("images", [])
        )
        async with self._session.get(f"{self._url}/view", params=image) as answer:
            return await answer.read()


@asynccontextmanager
async def direct(url: str) -> AsyncIterator[Direct]:
    async with aiohttp.ClientSession() as session:
        client = Direct(session, url, uuid4().hex)
        listening = asyncio.ensure_future(client.listen())
        await client.listening.wait()
        try:
            yield client
        finally:
            listening.cancel()


async def one_by_one(client: Direct, graphs: Sequence[Graph]) -> list[float]:
    """Seconds from submission to image of each."""
    took = []
    for graph in graphs:
        began = perf_counter()
        await client.image(graph)
        took.append(perf_counter() - began)
    return took


async def all_at_once(client: Direct, graphs: Sequence[Graph]) -> float:
    """Seconds until all are there."""
    began = perf_counter()
    await asyncio.gather(*(client.image(graph) for graph in graphs))
    return perf_counter() - began
