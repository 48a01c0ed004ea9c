"""The way of canceling for each ComfyUI; the untargeted one is never used."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.ports.engine import EngineError, PromptId

pytestmark = pytest.mark.anyio
PROMPT = PromptId("6f1c3c3e-3b0a-4f0e-8a53-0a3c1f3f2b11")


class OldComfy:
    """A ComfyUI of some version that runs one prompt until it is told to stop."""

    def __init__(self, version: str, *, has_jobs: bool = False) -> None:
        self.version = version
        self.has_jobs = has_jobs
        self.strokes: list[tuple[str, str]] = []
        self.deaf_strokes = 0

    async def queue(self, request: web.Request) -> web.Response:
        runs = len(self.strokes) <= self.deaf_strokes
        running = [[0, PROMPT, {}, {}, []]] if runs else []
        return web.json_response({"queue_running": running, "queue_pending": []})

    async def history(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def stats(self, request: web.Request) -> web.Response:
        return web.json_response({"system": {"comfyui_version": self.version}, "devices": []})

    async def interrupt(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        self.strokes.append(("interrupt", body.get("prompt_id", "whatever runs")))
        return web.Response()

    async def cancel_job(self, request: web.Request) -> web.Response:
        if not self.has_jobs:
            raise web.HTTPNotFound
        self.strokes.append(("job", request.match_info["id"]))
        return web.json_response({"cancelled": True})

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[ComfyEngine]:
        app = web.Application()
        app.router.add_get("/queue", self.queue)
        app.router.add_get("/history/{id}", self.history)
        app.router.add_get("/system_stats", self.stats)
        app.router.add_post("/interrupt", self.interrupt)
        app.router.add_post("/api/jobs/{id}/cancel", self.cancel_job)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with ComfyEngine(f"http://127.0.0.1:{runner.addresses[0][1]}") as engine:
                yield engine
        finally:
            await runner.cleanup()


@pytest.mark.parametrize(
    ("version", "has_jobs", "stroke"),
    [
        ("0.3.56", False, "interrupt"),
        ("v0.3.75", False, "interrupt"),
        ("0.5.1", False, "interrupt"),
        ("0.25.0", True, "job"),
        ("0.33.0", True, "job"),
        ("0.26.0", False, "interrupt"),  # a fork that took the jobs out
        ("nightly", True, "job"),
    ],
)
async def test_the_way_of_each_version(version: str, has_jobs: bool, stroke: str) -> None:
    comfy = OldComfy(version, has_jobs=has_jobs)
    async with comfy.engine() as engine:
        await engine.cancel(PROMPT)
    assert comfy.strokes == [(stroke, PROMPT)]


@pytest.mark.parametrize("version", ["0.3.55", "0.2.7", "nightly", ""])
async def test_where_only_everything_could_be_interrupted_nothing_is(version: str) -> None:
    comfy = OldComfy(version)
    async with comfy.engine() as engine:
        with pytest.raises(EngineError, match=r"0\.3\.56"):
            await engine.cancel(PROMPT)
    assert comfy.strokes == []


async def test_a_stroke_without_effect_is_repeated() -> None:
    comfy = OldComfy("0.3.75")
    comfy.deaf_strokes = 1
    async with comfy.engine() as engine:
        await engine.cancel(PROMPT)
    assert comfy.strokes == [("interrupt", PROMPT)] * 2


async def test_a_node_that_does_not_listen_does_not_keep_us() -> None:
    comfy = OldComfy("0.3.75")
    comfy.deaf_strokes = 99
    async with comfy.engine() as engine:
        await engine.cancel(PROMPT)
    assert len(comfy.strokes) == 3
