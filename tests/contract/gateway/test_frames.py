"""comfyq's own frames through a gateway."""

import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from comfyq.domain.job import JobId
from tests.gateway_lab import connect, eventually, received
from tests.gateways import Opened

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def send(client: ClientConnection, action: str, **fields: Any) -> None:
    await client.send(json.dumps({"action": action, **fields}))


async def test_a_job_is_followed_to_its_end(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        job = await lab.world.running()
        await send(client, "subscribe", job_id="job-1")
        frames = [await received(client)]
        for step in (1, 2, 3):
            job = await lab.world.advance(job, step)
            await lab.world.announcer.announce(job)
            frames.append(await received(client))
        await lab.world.announcer.announce_end(await lab.world.succeed(job))
        end = await received(client)
    assert [frame["step"] for frame in frames] == [0, 1, 2, 3]
    assert (end["status"], end["progress"]) == ("completed", 1.0)


async def test_several_jobs_are_followed_until_they_are_not(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        jobs = [await lab.world.running(f"job-{number}") for number in (1, 2)]
        await send(client, "subscribe", job_ids=["job-1", "job-2", "x"])
        told = [await received(client) for _ in range(3)]
        assert {frame["job_id"]: frame.get("code") for frame in told} == {
            "job-1": None,
            "job-2": None,
            "x": "job-not-found",
        }
        await send(client, "unsubscribe", job_id="job-1")
        assert (await received(client))["type"] == "unsubscribed"
        for job in jobs:
            await lab.world.announcer.announce(await lab.world.advance(job, 1))
        frame = await received(client)
    assert (frame["job_id"], frame["step"]) == ("job-2", 1)


async def test_what_a_client_has_seen_is_not_shown_again(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        job = await lab.world.running()
        await send(client, "subscribe", job_id="job-1", since=job.version - 1)
        assert (await received(client))["seq"] == job.version
        await send(client, "subscribe", job_id="job-1", since=job.version)
        await eventually(lambda: len(lab.answered) == 3)
        await send(client, "ping")
        assert await received(client) == {"type": "pong"}


async def test_who_asks_for_previews_is_noted(opened: Opened) -> None:
    async with opened() as lab:
        await lab.world.running()
        async with (
            connect(f"{lab.url}/local") as one,
            connect(f"{lab.url}/local?previews=1") as two,
        ):
            await send(one, "subscribe", job_id="job-1", previews=True)
            await send(two, "subscribe", job_id="job-1")
            for client in (one, two):
                await received(client)
            followers = await lab.world.followers.of_job(JobId("job-1"))
    assert [each.previews for each in followers] == [True, True]


async def test_who_leaves_follows_no_more(opened: Opened) -> None:
    async with opened() as lab:
        job = await lab.world.submitted()
        async with connect(f"{lab.url}/local") as client:
            await send(client, "subscribe", job_id="job-1")
            await received(client)
            assert len(await lab.world.followers.of_job(job.id)) == 1
        await eventually(lambda: bool(lab.of_kind("DISCONNECT")))
        await eventually(lambda: len(lab.answered) == len(lab.events))
        assert await lab.world.followers.of_job(job.id) == []
