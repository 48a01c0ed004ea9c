"""Engines to hold against the contract: over two simulated ComfyUIs, and over a real one."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.ports.engine import Ended, EngineEvent, Prompt, PromptId, PromptState
from comfyui_simulator import Simulator, SimulatorSettings

DEADLINE_S = 30.0
Graph = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A ComfyUI."""

    url: str
    simulator: Simulator | None = None


@pytest.fixture(
    params=["simulator 0.3.75", "simulator 0.33.0", pytest.param("real", marks=pytest.mark.comfyui)]
)
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    kind, _, generation = request.param.partition(" ")
    if kind == "real":
        url = os.getenv("COMFYQ_TEST_COMFYUI_URL")
        if not url:
            pytest.skip("COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make comfyui` prepares one")
        yield Target(url)
        return
    async with Simulator(SimulatorSettings(generation=generation)) as simulator:
        yield Target(simulator.url, simulator)


class Graphs:
    """Small graphs that both a real ComfyUI and the simulator run."""

    def trivial(self) -> Graph:
        """A picture that no other run has made."""
        image = {"width": 64, "height": 64, "batch_size": 1, "color": uuid.uuid4().int % 0xFFFFFF}
        return {"1": node("EmptyImage", **image), "2": save(["1", 0])}

    def sleeping(self, seconds: float) -> Graph:
        """Runs for so long unless it is interrupted."""
        sleep = {"seconds": seconds, "ticks": int(seconds * 20), "interruptible": True}
        graph = self.trivial()
        graph["3"] = node("LabSleep", image=["1", 0], nonce=uuid.uuid4().int % 2**60, **sleep)
        graph["2"] = save(["3", 0])
        return graph

    def failing(self, kind: str) -> Graph:
        graph = self.trivial()
        graph["3"] = node("LabRaise", image=["1", 0], kind=kind)
        graph["2"] = save(["3", 0])
        return graph

    def flux(self, *, steps: int) -> Graph:
        return {
            "12": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
            "11": node(
                "DualCLIPLoader",
                clip_name1="t5xxl_fp16.safetensors",
                clip_name2="clip_l.safetensors",
                type="flux",
            ),
            "10": node("VAELoader", vae_name="ae.safetensors"),
            "27": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
            "6": node("CLIPTextEncode", text="a fennec", clip=["11", 0]),
            "22": node("BasicGuider", model=["12", 0], conditioning=["6", 0]),
            "16": node("KSamplerSelect", sampler_name="euler"),
            "17": node(
                "BasicScheduler", scheduler="simple", steps=steps, denoise=1.0, model=["12", 0]
            ),
            "25": node("RandomNoise", noise_seed=uuid.uuid4().int % 2**60),
            "13": node(
                "SamplerCustomAdvanced",
                noise=["25", 0],
                guider=["22", 0],
                sampler=["16", 0],
                sigmas=["17", 0],
                latent_image=["27", 0],
            ),
            "8": node("VAEDecode", samples=["13", 0], vae=["10", 0]),
            "9": save(["8", 0]),
        }


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def save(images: list[Any]) -> Graph:
    return node("SaveImage", images=images, filename_prefix="contract/engine")


@pytest.fixture
def graphs() -> Graphs:
    return Graphs()


@dataclass
class Rig:
    """An engine, and what tests do with it again and again."""

    engine: ComfyEngine
    submitted: list[PromptId] = field(default_factory=list)

    async def submit(self, graph: Graph) -> PromptId:
        prompt = Prompt(PromptId(str(uuid.uuid4())), graph, {"job_id": "j", "attempt": 1})
        self.submitted.append(prompt.id)
        await self.engine.submit(prompt)
        return prompt.id

    async def follow(self, prompt_id: PromptId) -> list[EngineEvent]:
        """All events; raises what following raises."""
        async with asyncio.timeout(DEADLINE_S):
            return [event async for event in self.engine.follow(prompt_id)]

    async def end(self, prompt_id: PromptId) -> Ended:
        last = (await self.follow(prompt_id))[-1]
        assert isinstance(last, Ended)
        return last

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not await condition():  # noqa: ASYNC110 - it is another process that changes it
                await asyncio.sleep(0.01)

    async def until_state(self, prompt_id: PromptId, *states: PromptState) -> None:
        async def reached() -> bool:
            return await self.engine.find(prompt_id) in states

        await self.until(reached)

    async def clear(self) -> None:
        for prompt_id in self.submitted:
            await self.engine.cancel(prompt_id)


@pytest.fixture
def rig_of() -> type[Rig]:
    return Rig


@pytest.fixture
async def rig(target: Target) -> AsyncIterator[Rig]:
    """Its engine polls too seldom to pass a test: the socket must do."""
    async with ComfyEngine(target.url, timing=EngineTiming(poll_s=60, poll_down_s=0.05)) as engine:
        rig = Rig(engine)
        yield rig
        await rig.clear()


class Proxy:
    """TCP between an engine and its ComfyUI, to be cut, stalled or pointed elsewhere."""

    def __init__(self, upstream_url: str) -> None:
        self.upstream_url = upstream_url
        self.url = ""
        self.sockets_opened = 0
        self.posts_seen = 0
        self.stalls_sockets = False
        self.refuses = False
        self.swallows_answer_to_post = False
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._posters: set[asyncio.StreamWriter] = set()
        self._socket_writers: set[asyncio.StreamWriter] = set()

    @property
    def sockets_open(self) -> int:
        return len(self._socket_writers) // 2  # one to each side

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """End all connections, and wait until they have closed."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes in the next turn of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._connect(reader, writer)
        finally:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            return
        upstream = self.upstream_url
        host, port = urlsplit(upstream).hostname, urlsplit(upstream).port
        try:
            up_reader, up_writer = await asyncio.open_connection(host, port)
        except OSError:
            return
        mine = {writer, up_writer}
        if upstream != self.upstream_url:  # pointed elsewhere meanwhile, and so not cut
            for each in mine:
                each.transport.abort()
            return
        self._writers |= mine
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._up(reader, up_writer, mine))
                tasks.create_task(self._down(up_reader, writer, mine))
        finally:
            self._writers -= mine
            self._posters -= mine
            self._socket_writers -= mine
            for each in mine:
                each.transport.abort()

    async def _up(
        self,
        reader: asyncio.StreamReader,
        up: asyncio.StreamWriter,
        mine: set[asyncio.StreamWriter],
    ) -> None:
        while chunk := await read(reader):
            if chunk.startswith(b"GET /ws"):
                self.sockets_opened += 1
                self._socket_writers |= mine
            if chunk.startswith(b"POST /prompt"):
                self.posts_seen += 1
                self._posters |= mine
            up.write(chunk)
        for each in mine:
            each.close()

    async def _down(
        self,
        up: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        mine: set[asyncio.StreamWriter],
    ) -> None:
        while chunk := await read(up):
            if self.swallows_answer_to_post and writer in self._posters:
                self.swallows_answer_to_post = False
                break
            if not (self.stalls_sockets and writer in self._socket_writers):
                writer.write(chunk)
        for each in mine:
            each.close()

    def cut_sockets(self) -> None:
        for writer in self._socket_writers:
            writer.transport.abort()

    def cut_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except OSError:
        return b""


@pytest.fixture
async def proxy(target: Target) -> AsyncIterator[Proxy]:
    proxy = Proxy(target.url)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield proxy
    server.close()
    await proxy.close()
    await server.wait_closed()


@pytest.fixture
async def shaky(proxy: Proxy) -> AsyncIterator[Rig]:
    """An engine behind the proxy, quick to look for itself."""
    timing = EngineTiming(poll_s=0.3, poll_down_s=0.1, unavailable_s=1.0, backoff_max_s=0.3)
    async with ComfyEngine(proxy.url, client_id=uuid.uuid4().hex, timing=timing) as engine:
        yield Rig(engine)
