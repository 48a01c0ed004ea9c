import asyncio

import pytest

from comfyq.local.outbox import BufferFull, Outbox
from comfyq.wire.generate.frames import PREVIEW_BEGINS

pytestmark = pytest.mark.anyio


def preview(number: int) -> str:
    return f"{PREVIEW_BEGINS}{number}"


async def test_a_preview_waits_for_every_other_frame_and_only_the_newest_does() -> None:
    outbox = Outbox(8)
    for text in (preview(1), "a", preview(2), "b"):
        outbox.put(text)
    assert [await outbox.get() for _ in range(3)] == ["a", "b", preview(2)]


async def test_previews_take_no_place_of_other_frames() -> None:
    outbox = Outbox(2)
    for number in range(10):
        outbox.put(preview(number))
    outbox.put("a")
    outbox.put("b")
    with pytest.raises(BufferFull):
        outbox.put("c")
    outbox.put(preview(10))
    assert [await outbox.get() for _ in range(3)] == ["a", "b", preview(10)]


async def test_who_waits_gets_what_comes() -> None:
    outbox = Outbox(2)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(outbox.get())
        await asyncio.sleep(0)
        outbox.put(preview(1))
    assert waiting.result() == preview(1)
