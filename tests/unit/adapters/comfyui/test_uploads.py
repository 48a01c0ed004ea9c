"""Files on their way into ComfyUI's folder."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.domain.errors import InputInvalid

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


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application(client_max_size=MOST)
    app.router.add_post("/upload/image", taken)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_file_that_comfyui_takes_has_its_name(url: str) -> None:
    async with ComfyEngine(url) as engine:
        assert await engine.upload("a.mp4", pieces(9)) == "a.mp4"


async def test_one_that_is_too_large_for_it_is_refused_with_what_to_do(url: str) -> None:
    async with ComfyEngine(url) as engine:
        for count in (12, 300):
            with pytest.raises(InputInvalid, match="--max-upload-size"):
                await engine.upload("a.mp4", pieces(count))
