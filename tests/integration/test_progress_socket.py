"""``/ws/progress/{job_id}``: one job, in order, to its end."""

import json

import anyio.to_thread
import pytest
import websocket
import websockets

from comfyq.domain.job.estimate import Estimate
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.records.indexes.followed_jobs import ANY_WORKER, FollowedJobRecords
from comfyq.services.notify.waiting_reasons import WaitingReasons
from tests.followed_jobs import with_progress
from tests.gateway_lab import Event, closed, connect, gateway_lab, received

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_progress_in_order_then_the_end_then_1000() -> None:
    async with gateway_lab() as lab:
        job = await lab.world.running()
        async with connect(f"{lab.url}/ws/progress/job-1") as client:
            assert (await received(client))["seq"] == job.version
            first = await lab.world.advance(job, 1)
            second = await lab.world.advance(first, 2)
            third = with_progress(second, 0.6)  # pushed between two writes
            for late_or_not in (second, first, third, second):
                await lab.world.announcer.announce(late_or_not)
            await lab.world.announcer.announce_end(await lab.world.succeed(second))
            code, frames = await closed(client)
        shown = [(frame["seq"], frame["progress"], frame["status"]) for frame in frames]
        assert shown == [
            (second.version, 0.5, "running"),
            (second.version, 0.6, "running"),
            (second.version + 1, 1.0, "completed"),
        ]
        assert code == 1000


async def test_a_socket_opened_after_the_end_is_told_the_end() -> None:
    async with gateway_lab() as lab:
        await lab.world.succeed(await lab.world.running())
        async with connect(f"{lab.url}/ws/progress/job-1") as client:
            code, frames = await closed(client)
        assert ([frame["status"] for frame in frames], code) == (["completed"], 1000)


async def test_the_websocket_client_library_sees_the_same() -> None:
    async with gateway_lab() as lab:
        await lab.world.succeed(await lab.world.running())

        def view() -> list[str]:
            client = websocket.create_connection(f"{lab.url}/ws/progress/job-1", timeout=10)
            frame, end = client.recv(), client.recv_data()
            client.shutdown()  # type: ignore[no-untyped-call]  # close() waits for more
            return [json.loads(frame)["status"], end[1][:2].hex()]

        assert await anyio.to_thread.run_sync(view) == ["completed", f"{1000:04x}"]


async def test_an_unknown_job_is_refused_before_the_upgrade(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with gateway_lab() as lab:
        for path in ("/ws/progress/unknown", "/ws/progress/%E2%98%83", "/local?job_id=unknown"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(f"{lab.url}{path}")
            assert refused.value.response.status_code == 404
            assert json.loads(refused.value.response.body)["code"] == "job-not-found"
        assert lab.of_kind("DISCONNECT") == []
    assert caplog.messages == [], "uvicorn's own lines stand amid ours of JSON"


async def test_every_viewer_of_a_job_is_told() -> None:
    async with gateway_lab() as lab:
        job = await lab.world.running()
        url = f"{lab.url}/ws/progress/job-1"
        async with connect(url) as one, connect(url) as two:
            await received(one)
            await received(two)
            await lab.world.announcer.announce_end(await lab.world.succeed(job))
            assert [(await closed(viewer))[0] for viewer in (one, two)] == [1000, 1000]


async def test_viewers_at_two_processes_are_both_told() -> None:
    async with gateway_lab() as one, gateway_lab(world=one.world) as two:
        assert one.endpoint != two.endpoint
        job = await one.world.running()
        async with (
            connect(f"{one.url}/ws/progress/job-1") as here,
            connect(f"{two.url}/ws/progress/job-1") as there,
        ):
            await received(here)
            await received(there)
            await one.world.announcer.announce_end(await one.world.succeed(job))
            assert [(await closed(viewer))[0] for viewer in (here, there)] == [1000, 1000]


async def test_a_followed_job_without_news_repeats_its_last_frame() -> None:
    async with gateway_lab(GatewaySettings(repeat_s=0.05, idle_s=0.5)) as lab:
        job = await lab.world.submitted()
        async with connect(f"{lab.url}/ws/progress/job-1") as client:
            frames = [await received(client) for _ in range(20)]  # longer than an idle socket lives
            assert {frame["seq"] for frame in frames} == {job.version}


async def test_a_viewer_whose_job_cannot_be_followed_is_not_left_waiting() -> None:
    async with gateway_lab() as lab:
        job = await lab.world.submitted()

        async def delete(event: Event) -> None:
            if event["requestContext"]["eventType"] == "MESSAGE":
                await lab.world.records.remove(job)

        lab.before = delete
        async with connect(f"{lab.url}/ws/progress/job-1") as client:
            code, frames = await closed(client)
        assert ([frame["code"] for frame in frames], code) == (["job-not-found"], 1011)


async def test_the_first_frame_of_a_waiting_job_says_why_it_waits() -> None:
    async with gateway_lab() as lab:
        await lab.world.submitted()
        lab.world.estimate = Estimate(queue_position=2, waits_for="no worker is connected")
        async with connect(f"{lab.url}/ws/progress/job-1") as client:
            first = await received(client)
    assert (first["status"], first["queue_position"]) == ("queued", 2)
    assert first["waits_for"].endswith("no worker is connected")


async def test_every_kind_of_follower_is_told_when_the_reason_to_wait_changes() -> None:
    async with gateway_lab() as lab:
        await lab.world.submitted()
        reasons = {ANY_WORKER: "paused"}

        async def told() -> dict[str, str]:
            return reasons

        waiting = WaitingReasons(
            followed=FollowedJobRecords(lab.world.table),
            records=lab.world.records,
            announcer=lab.world.announcer,
            reasons=told,
            clock=lab.world.clock,
        )
        assert lab.gateway is not None
        assert not lab.gateway.any_open()
        async with (
            connect(f"{lab.url}/ws/progress/job-1") as following,
            connect(f"{lab.url}/local") as plain,
        ):
            assert lab.gateway.any_open()
            await plain.send(json.dumps({"action": "subscribe", "job_id": "job-1"}))
            for client in (following, plain):
                assert (await received(client))["waits_for"] is None
            lab.world.estimate = Estimate(waits_for="paused")
            assert await waiting.push() == 1
            for client in (following, plain):
                assert (await received(client))["waits_for"] == "paused"
