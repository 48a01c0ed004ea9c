"""A ComfyUI that answers, but fails on the history or the file of one prompt."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.ports.engine import (
    EngineUnavailable,
    PromptId,
    PromptState,
    Rendered,
    RenderedFileGone,
    ResultsUnreadable,
)

pytestmark = pytest.mark.anyio

PROMPT = PromptId("p")
Answer = tuple[int, str]  # status and body
QUEUE: Answer = (200, '{"queue_running": [], "queue_pending": []}')


@asynccontextmanager
async def comfyui(
    history: Answer, queue: Answer, *, view: int = 404, unavailable_s: float = 10
) -> AsyncIterator[ComfyEngine]:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/view":
            return web.Response(status=view)
        status, body = queue if request.path == "/queue" else history
        return web.Response(status=status, text=body)

    app = web.Application()
    for path in ("/queue", "/history/p", "/view"):
        app.router.add_get(path, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    timing = EngineTiming(
        poll_s=0.001, poll_down_s=0.001, history_lag_s=0.01, unavailable_s=unavailable_s
    )
    try:
        port = runner.addresses[0][1]
        async with ComfyEngine(f"http://127.0.0.1:{port}", timing=timing) as engine:
            yield engine
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(500, "Server got itself in trouble", "answers 500"), (200, "[" * 9_000, "not an answer")],
)
async def test_history_that_fails_for_one_prompt_is_an_error_of_that_prompt(
    status: int, body: str, words: str
) -> None:
    async with comfyui((status, body), QUEUE) as engine:
        assert await engine.find(PROMPT) is PromptState.ENDED
        with pytest.raises(ResultsUnreadable, match=words):
            async for _ in engine.follow(PROMPT):
                pass


async def test_a_comfyui_that_fails_at_everything_is_away() -> None:
    broken = (500, "")
    async with comfyui(broken, broken, unavailable_s=0.05) as engine:
        with pytest.raises(EngineUnavailable):
            async for _ in engine.follow(PROMPT):
                pass


@pytest.mark.parametrize(
    ("name", "status", "for_good"),
    [
        ("a.png", 404, False),
        ("a\ufffd.png", 404, True),
        ("a\0.png", 404, True),
        (f"{'a' * 300}.png", 404, True),
        ("a..png", 400, True),
    ],
    ids=["missing", "no Unicode", "NUL", "long", "refused"],
)
async def test_a_name_that_no_file_can_have_is_gone_for_good(
    name: str, status: int, for_good: bool
) -> None:
    async with comfyui((200, "{}"), QUEUE, view=status) as engine:
        with pytest.raises(RenderedFileGone) as caught:
            async for _ in engine.fetch(Rendered("1", name)):
                pass
        assert caught.value.for_good is for_good
