"""The gateway under uvicorn, as real clients and boto3 see it."""

import json
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, urlsplit

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import requests
import websockets
from botocore.exceptions import ClientError
from websockets.asyncio.client import ClientConnection

from comfyq.adapters.gateway.notifier import GatewayNotifier
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.errors import NotifierUnavailable
from comfyq.domain.request_signature import SignedRequest, signed_headers
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.ports.notifier import SIGNED_OUT, Connection
from comfyq.services.limits.frame_limit import FrameLimit
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.wire.generate.frames import PREVIEW_BEGINS
from tests.gateway_lab import (
    SECRET,
    Event,
    Frame,
    GatewayLab,
    closed,
    connect,
    eventually,
    gateway_lab,
    new_handler,
    received,
    secret,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

KIB = 1024


async def subscribe(client: ClientConnection, job_id: str = "job-1") -> Frame:
    await client.send(json.dumps({"action": "subscribe", "job_id": job_id}))
    return await received(client)


async def post(lab: GatewayLab, connection_id: str, frame: bytes) -> None:
    await anyio.to_thread.run_sync(
        lambda: lab.api.post_to_connection(ConnectionId=connection_id, Data=frame)
    )


async def test_a_client_follows_a_job_through_the_stage() -> None:
    async with gateway_lab() as lab, connect(f"{lab.url}/local") as client:
        job = await lab.world.running()
        snapshot = await subscribe(client)
        for step in (1, 2, 3):
            job = await lab.world.advance(job, step)
            await lab.world.announcer.announce(job)
        steps = [await received(client) for _ in range(3)]
        await lab.world.announcer.announce_end(await lab.world.succeed(job))
        end = await received(client)
        assert [frame["step"] for frame in (snapshot, *steps)] == [0, 1, 2, 3]
        assert (end["status"], end["progress"]) == ("completed", 1.0)
        assert end["image_url"].startswith(f"http://{lab.host}/generate/job-1/outputs/0?")


async def test_bad_frames_are_answered_and_the_socket_lives_on() -> None:
    async with gateway_lab() as lab, connect(f"{lab.url}/local") as client:
        for text in ("not json", '{"action": "nope"}', '{"action": "subscribe"}', "[" * 9_000):
            await client.send(text)
            assert (await received(client))["code"] == "invalid-request"
        assert (await subscribe(client, "unknown"))["code"] == "job-not-found"
        await client.send('{"action": "ping"}')
        assert await received(client) == {"type": "pong"}


async def hang_on_messages(event: Event) -> None:
    if event["requestContext"]["eventType"] == "MESSAGE":
        await anyio.sleep_forever()


async def test_a_handler_that_hangs_is_given_up() -> None:
    settings = GatewaySettings(handler_timeout_s=0.1)
    async with gateway_lab(settings) as lab, connect(f"{lab.url}/local") as client:
        lab.before = hang_on_messages
        await client.send("{}")
        assert (await received(client))["message"] == "Internal server error"


@pytest.mark.parametrize(
    "settings", [GatewaySettings(idle_s=0.2), GatewaySettings(max_age_s=0.2)], ids=["idle", "age"]
)
async def test_a_socket_does_not_live_for_ever(settings: GatewaySettings) -> None:
    async with gateway_lab(settings) as lab, connect(f"{lab.url}/local") as client:
        assert await closed(client) == (1001, [])


@pytest.mark.parametrize(("method", "status"), [("POST", 200), ("DELETE", 204), ("GET", 200)])
async def test_another_process_without_the_secret_reaches_no_socket(
    method: str, status: int
) -> None:
    """By boto3 with other credentials, by our own client, and by what was signed for another."""
    async with gateway_lab() as lab, connect(f"{lab.url}/local") as client:
        here = f"/local/@connections/{quote(lab.connection_id, safe='')}"
        own = {"host": urlsplit(lab.endpoint).netloc}
        now = SystemClock().now()
        body = b"{}" if method == "POST" else b""
        request = SignedRequest(method, here, own, body)
        elsewhere = replace(request, path="/local/@connections/another")
        for headers in (
            signed_headers(request, b"guessed", now=now),
            signed_headers(request, SECRET.encode(), now=now - timedelta(hours=1)),
            signed_headers(elsewhere, SECRET.encode(), now=now),
            {"authorization": "AWS4-HMAC-SHA256 Credential=local"},
        ):
            answer = await asked(lab, request, headers)
            assert answer.status_code == 403
            assert answer.headers["x-amzn-ErrorType"] == "InvalidSignatureException"
        await client.send('{"action": "ping"}')
        assert await received(client) == {"type": "pong"}  # and nothing before it
        signed = signed_headers(request, SECRET.encode(), now=now)
        assert (await asked(lab, request, signed)).status_code == status


async def asked(
    lab: GatewayLab, request: SignedRequest, headers: dict[str, str]
) -> requests.Response:
    url = f"http://{urlsplit(lab.endpoint).netloc}{request.path}"
    return await anyio.to_thread.run_sync(
        lambda: requests.request(request.method, url, data=request.body, headers=headers, timeout=5)
    )


async def test_a_secret_that_cannot_be_read_lets_nobody_post() -> None:
    async with gateway_lab() as lab, connect(f"{lab.url}/local"):
        lab.secret_away = True
        with pytest.raises(ClientError) as refused:
            await post(lab, lab.connection_id, b"{}")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


async def flood(lab: GatewayLab, connection_id: str, frame: bytes) -> None:
    with anyio.fail_after(20):
        while True:
            await post(lab, connection_id, frame)


async def test_a_slow_reader_is_refused_then_cut_off_and_stops_nobody() -> None:
    settings = GatewaySettings(buffer_frames=4, send_timeout_s=1)
    async with gateway_lab(settings) as lab, connect(f"{lab.url}/local") as quick:
        quick_id = lab.connection_id
        async with websockets.connect(
            f"{lab.url}/local", proxy=None, compression=None, max_queue=1, close_timeout=0.1
        ):
            slow_id = lab.connection_id
            frame = json.dumps("x" * 100 * KIB).encode()
            with pytest.raises(lab.api.exceptions.LimitExceededException):
                await flood(lab, slow_id, frame)
            await post(lab, quick_id, b'"still here"')
            with anyio.fail_after(10):
                assert json.loads(await quick.recv()) == "still here"
            await eventually(lambda: bool(lab.of_kind("DISCONNECT")))
            ended = lab.of_kind("DISCONNECT")[0]["requestContext"]
            assert (ended["connectionId"], ended["disconnectStatusCode"]) == (slow_id, 1006)


async def test_a_slow_reader_loses_previews_and_no_other_frame() -> None:
    preview = f'{PREVIEW_BEGINS}"data":"{"x" * 100 * KIB}"}}'.encode()
    settings = GatewaySettings(buffer_frames=2)
    async with gateway_lab(settings) as lab, connect(f"{lab.url}/local") as client:
        job = await lab.world.running()
        await subscribe(client)
        assert lab.deliver is not None
        for _ in range(400):
            lab.deliver(lab.connection_id, preview)
            await anyio.lowlevel.checkpoint()
        await lab.world.announcer.announce_end(await lab.world.succeed(job))
        frames = [await received(client)]
        while frames[-1]["kind"] == "preview":
            frames.append(await received(client))
        assert frames[-1]["status"] == "completed"
        assert len(frames) < 400


async def test_stopping_closes_sockets_with_1001_and_handles_their_disconnect() -> None:
    async with gateway_lab() as lab:
        job = await lab.world.submitted()
        client = await connect(f"{lab.url}/ws/progress/job-1")
        await received(client)
    assert await closed(client) == (1001, [])
    await client.close()
    assert len(lab.of_kind("DISCONNECT")) == 1
    assert await lab.world.followers.of_job(job.id) == []


class Held:
    """Holds messages in the handler until they are released."""

    def __init__(self) -> None:
        self.release = anyio.Event()
        self.running: list[str] = []  # the sockets whose messages are held
        self.most = 0

    async def __call__(self, event: Event) -> None:
        if event["requestContext"]["eventType"] != "MESSAGE":
            return
        self.running.append(socket := event["requestContext"]["connectionId"])
        self.most = max(self.most, len(self.running))
        await self.release.wait()
        self.running.remove(socket)


async def test_messages_of_one_socket_do_not_flood_the_handler() -> None:
    async with gateway_lab(GatewaySettings(messages_at_once=2)) as lab:
        lab.before = held = Held()
        async with connect(f"{lab.url}/local") as client:
            for _ in range(6):
                await client.send('{"action": "ping"}')
            await eventually(lambda: len(held.running) == 2)
            held.release.set()
            assert [await received(client) for _ in range(6)] == [{"type": "pong"}] * 6
        assert held.most == 2


async def test_nor_do_those_of_all_sockets_together_and_each_has_its_turn() -> None:
    settings = GatewaySettings(messages_at_once=4, messages_together=3)
    async with gateway_lab(settings) as lab, AsyncExitStack() as opened:
        lab.before = held = Held()
        clients = [await opened.enter_async_context(connect(f"{lab.url}/local")) for _ in range(4)]
        greedy, modest = clients[0], clients[1:]
        for _ in range(20):
            await greedy.send('{"action": "ping"}')
        await eventually(lambda: len(held.running) == 3)
        for client in modest:
            await client.send('{"action": "ping"}')
        assert lab.gateway is not None
        sockets = lab.gateway._connections.values()
        await eventually(lambda: all(each.last_active_at > each.connected_at for each in sockets))
        held.release.set()
        for client, count in zip(clients, (20, 1, 1, 1), strict=True):
            assert [await received(client) for _ in range(count)] == [{"type": "pong"}] * count
        assert held.most == 3
        order = [each["requestContext"]["connectionId"] for each in lab.of_kind("MESSAGE")]
        assert {*order[:7]} == {*order}, "the three there, and then one of each socket"


class Unread(MemoryNotifier):
    """Posts nothing, as to sockets whose clients do not read."""

    async def post(self, connection: Connection, frame: bytes) -> None:
        raise NotifierUnavailable(f"{connection.id} does not read")


async def test_who_does_not_read_keeps_no_place_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfyq.edges.websocket.handler.PAUSES_S", (3_600,))
    async with gateway_lab(GatewaySettings(messages_together=1, drain_s=0.1)) as lab:
        job, reading = await lab.world.running(), lab.handler
        lab.handler = new_handler(lab.world, Unread())
        async with connect(f"{lab.url}/local") as client, connect(f"{lab.url}/local") as other:
            await client.send(json.dumps({"action": "subscribe", "job_id": "no-such-job"}))
            await eventually(lambda: len(lab.of_kind("MESSAGE")) == 1)
            lab.handler = reading
            assert (await subscribe(other, job.id))["job_id"] == job.id
            await eventually(lambda: len(lab.answered) == len(lab.events) - 1)  # that one waits


async def test_a_socket_is_closed_by_the_code_that_its_notifier_says() -> None:
    async with gateway_lab() as lab, connect(f"{lab.url}/local") as client:
        here = Connection(lab.connection_id, lab.endpoint)
        with closing(GatewayNotifier(secret=secret, clock=SystemClock())) as notifier:
            await notifier.end(here, SIGNED_OUT)
        assert await closed(client) == (4401, [])
        assert client.close_reason == SIGNED_OUT.reason
        await eventually(lambda: len(lab.of_kind("DISCONNECT")) == 1)
        [event] = lab.of_kind("DISCONNECT")
        assert event["requestContext"]["disconnectStatusCode"] == 4401


async def test_who_sends_too_much_is_read_more_slowly_and_others_are_not() -> None:
    settings = GatewaySettings(messages_at_once=1, refused_pause_s=3_600)
    async with gateway_lab(settings) as lab:
        limit = FrameLimit(of_socket=1, now_s=lambda: 0.0)
        lab.handler = new_handler(lab.world, lab.handler._notifier, limit=limit)
        async with connect(f"{lab.url}/local") as greedy:
            greedy_id = lab.connection_id
            for _ in range(9):
                await greedy.send('{"action": "ping"}')
            assert await received(greedy) == {"type": "pong"}
            assert (await received(greedy))["code"] == "rate-limited"
            async with connect(f"{lab.url}/local") as modest:
                await modest.send('{"action": "ping"}')
                assert await received(modest) == {"type": "pong"}
            assert len(lab.of_kind("MESSAGE")) == 3
            await anyio.to_thread.run_sync(
                lambda: lab.api.delete_connection(ConnectionId=greedy_id)
            )
            assert await closed(greedy) == (1000, [])
            await eventually(lambda: len(lab.of_kind("DISCONNECT")) == 2)
