"""Previews of a running job, for those of its followers that want them."""

import asyncio
import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from comfyq.domain.job import JobStatus
from comfyq.domain.submission.batch import BatchId
from comfyq.ports.engine import Ended, Started
from comfyq.ports.notifier import Connection
from comfyq.records.subscriptions import Subscription
from comfyq.wire.generate.frames import PREVIEW_BEGINS
from tests.farm import Farm
from tests.scripted_engine import HALF, IMAGE, Never, ScriptedEngine, until

pytestmark = pytest.mark.anyio


def picture(color: str = "red") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (512, 256), color).save(written, "JPEG")
    return written.getvalue()


def previews(farm: Farm, connection: str) -> list[dict[str, Any]]:
    posts = [frame.decode() for to, frame in farm.notifier.posts if to.id == connection]
    return [json.loads(frame) for frame in posts if frame.startswith(PREVIEW_BEGINS)]


async def test_who_asked_for_previews_gets_them_and_nobody_else(farm: Farm) -> None:
    job = await farm.submit()
    await farm.follow(job, "shown", previews=True)
    await farm.follow(job, "not-shown")
    batch = BatchId("batch-1")
    both = Subscription(
        Connection("shown", "http://gateway"), "http://api", batch=batch, previews=True
    )
    await farm.subscriptions.add(job.id, both, now_s=2**31)
    engine = ScriptedEngine(Started(), HALF, Never())
    engine.picture = picture()
    async with asyncio.TaskGroup() as group:
        group.create_task(farm.worker("w1", engine).run_once())
        await until(lambda: len(previews(farm, "shown")) > 1)
        await farm.cancel(job)
    frame = previews(farm, "shown")[0]
    described = (frame["job_id"], frame["attempt"], frame["node"], frame["content_type"])
    assert described == (job.id, 1, "3", "image/jpeg")
    with Image.open(io.BytesIO(base64.b64decode(frame["data"]))) as shown:
        assert shown.size == (frame["width"], frame["height"]) == (384, 192)
    assert previews(farm, "not-shown") == []
    assert len(previews(farm, "shown")) <= engine.previewed, "twice, as it follows the batch too"


async def test_without_anybody_who_wants_them_none_is_even_looked_at(farm: Farm) -> None:
    job = await farm.submit()
    await farm.follow(job)
    engine = ScriptedEngine(Started(), HALF, Never())
    looked: list[object] = []
    engine.preview = looked.append  # type: ignore[method-assign,assignment]
    slow = await farm.submit()
    await farm.follow(slow, "shown", previews=True)
    other = ScriptedEngine(Started(), HALF, Never())
    other.picture = picture()
    async with asyncio.TaskGroup() as group:
        group.create_task(farm.worker("w1", engine).run_once())
        await until(lambda: len(farm.notifier.posts) > 1)
        group.create_task(farm.worker("w2", other).run_once())
        await until(lambda: len(previews(farm, "shown")) > 2)  # time enough for w1, too
        await farm.cancel(job)
        await farm.cancel(slow)
    assert looked == []


async def test_the_end_of_a_job_waits_for_no_preview(farm: Farm) -> None:
    job = await farm.submit()
    await farm.follow(job, "slow", previews=True)
    hanging, proceed, released = asyncio.Event(), asyncio.Event(), asyncio.Event()
    post = farm.notifier.post

    async def hangs(connection: Connection, frame: bytes) -> None:
        if frame.decode().startswith(PREVIEW_BEGINS):
            hanging.set()
            await released.wait()
        await post(connection, frame)

    farm.notifier.post = hangs  # type: ignore[method-assign]
    engine = ScriptedEngine(Started(), HALF, Ended([IMAGE]))
    engine.picture = picture()
    engine.before_end = proceed
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(farm.worker("w1", engine).run_once())
        await hanging.wait()
        proceed.set()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert farm.notifier.posts[-1][1] == b"succeeded 1.0"
    released.set()


async def test_what_is_no_picture_fails_no_job(farm: Farm) -> None:
    job = await farm.submit()
    await farm.follow(job, previews=True)
    engine = ScriptedEngine(Started(), HALF, Never())
    engine.picture = b"\xff\xd8 of no picture"
    worker = farm.worker("w1", engine)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run_once())
        await until(lambda: engine.previewed > 2)
        assert (await farm.records.get(job.id)).status is JobStatus.RUNNING
        await farm.cancel(job)
    assert previews(farm, "c1") == []
