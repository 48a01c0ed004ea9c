"""API Gateway's own events through the handler, over in-memory adapters."""

import json
from typing import Any

import pytest

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.ports.notifier import Connection
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.followed_jobs import PUBLIC_URL, FollowedJobs
from tests.paths import DATA

pytestmark = pytest.mark.anyio

EVENTS = DATA / "websocket"
SOCKET = "L0SM9cOFvHcCIhw="
ENDPOINT = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/live"

Event = dict[str, Any]


def golden(name: str, **changes: object) -> Event:
    event: Event = json.loads((EVENTS / f"{name}.json").read_text())
    return event | changes


@pytest.fixture
def notifier() -> MemoryNotifier:
    return MemoryNotifier()


@pytest.fixture
def world(notifier: MemoryNotifier) -> FollowedJobs:
    return FollowedJobs(notifier)


@pytest.fixture
def handler(world: FollowedJobs, notifier: MemoryNotifier) -> WebSocketHandler:
    return WebSocketHandler(
        subscriptions=world.subscriptions, notifier=notifier, public_url=PUBLIC_URL
    )


async def test_a_client_follows_its_job_to_the_end(
    world: FollowedJobs, handler: WebSocketHandler, notifier: MemoryNotifier
) -> None:
    job = await world.running()
    assert await handler.handle(golden("connect")) == {"statusCode": 200}
    assert notifier.posts == []
    assert await handler.handle(golden("subscribe")) == {"statusCode": 200}
    await world.announcer.announce_end(await world.succeed(job))
    snapshot, end = notifier.frames(SOCKET)
    assert (snapshot["status"], end["status"]) == ("running", "completed")
    assert end["image_url"].startswith(f"{PUBLIC_URL}/generate/job-1/outputs/0?")
    assert {to for to, _ in notifier.posts} == {Connection(SOCKET, ENDPOINT)}
    assert await handler.handle(golden("disconnect")) == {"statusCode": 200}
    assert await world.followers.of_job(JobId("job-1")) == []


async def test_links_begin_with_the_clients_host_where_no_public_url_is_set(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    local = WebSocketHandler(subscriptions=world.subscriptions, notifier=notifier, scheme="http")
    await world.submitted()
    await local.handle(golden("connect", headers={"host": "here:8000"}))
    known = await world.followers.caller(SOCKET)
    assert known is not None
    assert known[1].base_url == "http://here:8000"


async def test_the_handshake_is_refused_for_a_job_that_is_not_there(
    handler: WebSocketHandler,
) -> None:
    answer = await handler.handle(golden("connect"))
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "job-not-found"


@pytest.mark.parametrize("job_id", ["", "x" * 101, "a/b", "\N{SNOWMAN}", "job-1\n"])
async def test_the_handshake_is_refused_for_what_is_no_job_id(
    handler: WebSocketHandler, job_id: str
) -> None:
    answer = await handler.handle(golden("connect", queryStringParameters={"job_id": job_id}))
    assert answer["statusCode"] == 404


async def test_a_handshake_without_a_job_is_accepted(handler: WebSocketHandler) -> None:
    event = golden("connect", queryStringParameters=None)
    assert await handler.handle(event) == {"statusCode": 200}


async def test_another_tenant_is_told_that_there_is_no_such_job(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    stranger = Caller(TenantId("stranger"), frozenset({"read"}))
    handler = WebSocketHandler(
        subscriptions=world.subscriptions, notifier=notifier, identify=lambda _: stranger
    )
    await world.submitted()
    await handler.handle(golden("connect", queryStringParameters=None))
    await handler.handle(golden("subscribe"))
    (frame,) = notifier.frames(SOCKET)
    assert (frame["type"], frame["code"], frame["job_id"]) == ("error", "job-not-found", "job-1")


async def test_an_unknown_connection_is_told_to_connect(
    world: FollowedJobs, handler: WebSocketHandler, notifier: MemoryNotifier
) -> None:
    await world.submitted()
    await handler.handle(golden("subscribe"))
    assert notifier.frames(SOCKET)[0]["code"] == "connection-not-found"


async def test_a_ping_is_answered(handler: WebSocketHandler, notifier: MemoryNotifier) -> None:
    assert await handler.handle(golden("default")) == {"statusCode": 200}
    assert notifier.frames(SOCKET) == [{"type": "pong"}]


BAD = [
    "",
    "not json",
    "[]",
    "null",
    '{"action": "subscribe"}',
    '{"action": "subscribe", "job_id": 7}',
    '{"action": "subscribe", "job_id": ""}',
    '{"action": "subscribe", "job_id": "\\ud800"}',
    '{"action": "subscribe", "job_id": ["job-1"]}',
    '{"action": ["subscribe"]}',
    '{"action": "explode"}',
    "[" * 128 * 1024,
    '"' + "x" * (128 * 1024 - 2) + '"',
]


@pytest.mark.parametrize("route", ["subscribe", "default"])
@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
async def test_a_bad_frame_is_answered_by_what_would_be_right(
    handler: WebSocketHandler, notifier: MemoryNotifier, route: str, body: str
) -> None:
    assert await handler.handle(golden(route, body=body)) == {"statusCode": 200}
    (frame,) = notifier.frames(SOCKET)
    assert (frame["type"], frame["code"]) == ("error", "invalid-request")
    assert '"action": "subscribe"' in frame["message"]
    assert len(frame["message"]) < 1_000


async def test_a_table_that_does_not_answer_is_told_of(
    world: FollowedJobs,
    handler: WebSocketHandler,
    notifier: MemoryNotifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silent(key: object) -> None:
        raise TableUnavailable("the table does not answer")

    monkeypatch.setattr(world.table, "get", silent)
    assert (await handler.handle(golden("connect")))["statusCode"] == 503
    await handler.handle(golden("subscribe"))
    assert notifier.frames(SOCKET)[0]["code"] == "table-unavailable"


async def test_a_reply_that_nobody_gets_is_no_error(
    handler: WebSocketHandler, notifier: MemoryNotifier
) -> None:
    notifier.gone.add(SOCKET)
    assert await handler.handle(golden("default")) == {"statusCode": 200}
    notifier.unavailable.add(ENDPOINT)
    assert await handler.handle(golden("default")) == {"statusCode": 200}
