"""A client of ComfyUI that remembers everything it was told."""

import asyncio
import copy
import json
import struct
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

Json = dict[str, Any]
Graph = dict[str, Json]

GRAPHS: dict[str, Graph] = json.loads(Path(__file__).with_name("graphs.json").read_text())
PATIENCE_S = 60
POLL_S = 0.02


def recorded(name: str) -> list[Json]:
    """Read the recording of a case that `record.py` made of ComfyUI 0.3.75."""
    text = Path(__file__).with_name("0.3.75").joinpath(f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


class Tape:
    """A client of one ComfyUI that remembers every answer and every event."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.client_id = uuid.uuid4().hex
        self.answers: list[Json] = []
        self.events: list[Json] = []
        self._session = session
        self._heard = asyncio.Condition()

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Note what comes over the socket until it closes."""
        async for message in socket:
            is_text = message.type is aiohttp.WSMsgType.TEXT
            event = json.loads(message.data) if is_text else unpacked(message.data)
            async with self._heard:
                self.events.append(event)
                self._heard.notify_all()

    async def heard(self, is_it: Callable[[Json], bool]) -> Json:
        """Wait for an event. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S), self._heard:
            await self._heard.wait_for(lambda: any(is_it(event) for event in self.events))
        return next(event for event in self.events if is_it(event))

    async def ask(self, method: str, path: str, **request: Any) -> Json:
        """One request; `{status, type, answer}`, where the answer is None unless it is JSON."""
        async with self._session.request(method, self.url + path, **request) as response:
            is_json = response.content_type == "application/json"
            content = await response.json() if is_json else None
            reply = {"status": response.status, "type": response.content_type, "answer": content}
        self.answers.append({"asked": f"{method} {path}", **reply})
        return reply

    async def submit(self, graph: Graph, **more: Any) -> str:
        """POST /prompt; the prompt's id, or "" if it was refused."""
        body = {"prompt": graph, "client_id": self.client_id, **more}
        reply = await self.ask("POST", "/prompt", json=body)
        answer = reply["answer"]
        return str(answer["prompt_id"]) if answer and "prompt_id" in answer else ""

    async def run(self, graph: Graph, **more: Any) -> str:
        """Submit, wait for the end, and look at the history."""
        prompt_id = await self.submit(graph, **more)
        await self.finished(prompt_id)
        return prompt_id

    async def finished(self, prompt_id: str) -> None:
        await self.heard(is_end_of(prompt_id))
        await self.ask("GET", f"/history/{prompt_id}")

    async def forget_cache(self) -> None:
        """Run something else, unheard: a result outlives only the prompt that follows."""
        graph = copy.deepcopy(GRAPHS["trivial"])
        graph["1"]["inputs"]["color"] = uuid.uuid4().int % 0xFFFFFF
        body = {"prompt": graph, "client_id": uuid.uuid4().hex}
        async with self._session.post(f"{self.url}/prompt", json=body) as response:
            prompt_id = (await response.json())["prompt_id"]
        await self.ended(prompt_id)

    async def ended(self, prompt_id: str) -> None:
        """Wait until the history knows a prompt of which nothing is heard."""
        history: Json = {}
        async with asyncio.timeout(PATIENCE_S):
            while not history:
                await asyncio.sleep(POLL_S)
                async with self._session.get(f"{self.url}/history/{prompt_id}") as response:
                    history = await response.json()


def is_end_of(prompt_id: str) -> Callable[[Json], bool]:
    """Matches the very last event of a prompt."""
    end = {"type": "executing", "data": {"node": None, "prompt_id": prompt_id}}
    return end.__eq__


def unpacked(frame: bytes) -> Json:
    """A binary frame without its picture."""
    (kind, number) = struct.unpack(">II", frame[:8])
    if kind == 4:
        return {"type": "frame 4", "data": json.loads(frame[8 : 8 + number])}
    return {"type": f"frame {kind}", "data": {"format": number}}


@asynccontextmanager
async def connected(url: str, *, flags: Json | None = None) -> AsyncIterator[Tape]:
    """A tape whose socket is open; without `flags` no feature flags are sent."""
    async with aiohttp.ClientSession() as session:
        tape = Tape(url, session)
        await tape.forget_cache()
        async with session.ws_connect(f"{url}/ws?clientId={tape.client_id}") as socket:
            if flags is not None:
                await socket.send_json({"type": "feature_flags", "data": flags})
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(tape.listen(socket))
                await tape.heard(lambda event: event["type"] == "status")
                if flags is not None:
                    await tape.heard(lambda event: event["type"] == "feature_flags")
                yield tape
                await socket.close()
                await listening
