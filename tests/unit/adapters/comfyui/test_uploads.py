"""Files on their way into ComfyUI's folder."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.domain.errors import AssetsUnavailable, InputInvalid
from comfyq.ports.engine import EngineUnavailable

pytestmark = pytest.mark.anyio

MOST = 1_000_000  # bytes, as of `--max-upload-size 1`


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(100_000)


async def taken(request: web.Request) -> web.Response:
    form = await request.post()
    file = form["image"]
    assert isinstance(file, web.FileField)
    return web.json_response({"name": file.filename, "subfolder": "", "type": "input"})


async def swallowed(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"name": "a.mp4", "subfolder": "", "type": "input"})


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    app = web.Application(client_max_size=MOST)
    app.router.add_post("/upload/image", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(taken) as url:
        yield url


async def test_a_file_that_comfyui_takes_has_its_name(url: str) -> None:
    async with ComfyEngine(url) as engine:
        assert await engine.upload("a.mp4", pieces(9)) == "a.mp4"


async def test_one_that_is_too_large_for_it_is_refused_with_what_to_do(url: str) -> None:
    async with ComfyEngine(url) as engine:
        for count in (12, 300):
            with pytest.raises(InputInvalid, match="--max-upload-size"):
                await engine.upload("a.mp4", pieces(count))


async def test_what_breaks_while_it_is_read_looks_as_if_comfyui_were_away() -> None:
    """aiohttp hides why, so whoever hands the file over has to remember it."""

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(1_000)
        raise AssetsUnavailable("S3 does not answer")

    async with serving(swallowed) as url, ComfyEngine(url) as engine:
        with pytest.raises(EngineUnavailable):
            await engine.upload("a.mp4", broken())
