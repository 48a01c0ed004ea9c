"""API Gateway's own events through the handler, over in-memory adapters."""

import json
from typing import Any, get_args

import pytest

from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId
from comfyq.edges.websocket.frame_kinds import FRAMES, ClientFrame
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.ports.access.authenticator import Authenticator
from comfyq.ports.notifier import Connection
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.wire.generate import frames
from comfyq.wire.generate.frames import PingFrame
from tests.fake_authenticator import FakeAuthenticator, with_scopes
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
        subscriptions=world.subscriptions,
        notifier=notifier,
        authenticator=LocalOwner(),
        public_url=PUBLIC_URL,
    )


def handler_for(
    authenticator: Authenticator, world: FollowedJobs, notifier: MemoryNotifier
) -> WebSocketHandler:
    return WebSocketHandler(
        subscriptions=world.subscriptions, notifier=notifier, authenticator=authenticator
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
    local = WebSocketHandler(
        subscriptions=world.subscriptions,
        notifier=notifier,
        authenticator=LocalOwner(),
        scheme="http",
    )
    await world.submitted()
    await local.handle(golden("connect", headers={"host": "here:8000"}))
    known = await world.followers.caller(SOCKET)
    assert known is not None
    assert known[1].base_url == "http://here:8000"


@pytest.mark.parametrize(
    ("query", "wish", "wants"),
    [({}, {}, False), ({"previews": "1"}, {}, True), ({}, {"previews": True}, True)],
)
async def test_previews_are_for_who_asks_by_query_or_frame(
    world: FollowedJobs,
    handler: WebSocketHandler,
    query: dict[str, str],
    wish: dict[str, bool],
    wants: bool,
) -> None:
    await world.submitted()
    await handler.handle(golden("connect", queryStringParameters=query))
    frame = {"action": "subscribe", "job_id": "job-1", **wish}
    await handler.handle(golden("subscribe", body=json.dumps(frame)))
    assert [each.previews for each in await world.followers.of_job(JobId("job-1"))] == [wants]


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
    stranger = FakeAuthenticator(Caller(TenantId("stranger"), frozenset({Scope.READ})))
    handler = handler_for(stranger, world, notifier)
    await world.submitted()
    await handler.handle(golden("connect", queryStringParameters=None))
    await handler.handle(golden("subscribe"))
    (frame,) = notifier.frames(SOCKET)
    assert (frame["type"], frame["code"], frame["job_id"]) == ("error", "job-not-found", "job-1")


async def test_a_handshake_shows_its_headers_and_query_to_the_authenticator(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    asked = with_scopes(Scope.READ)
    await world.submitted()
    event = golden("connect", headers={"X-Api-Key": "k"}, queryStringParameters={"key": "q"})
    assert await handler_for(asked, world, notifier).handle(event) == {"statusCode": 200}
    [credentials] = asked.credentials
    assert (credentials.headers["x-api-key"], credentials.query["key"]) == ("k", "q")


async def test_the_handshake_is_refused_to_who_may_not_read(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    others = with_scopes(*{*Scope} - {Scope.READ})
    await world.submitted()
    answer = await handler_for(others, world, notifier).handle(golden("connect"))
    assert answer["statusCode"] == 403
    assert json.loads(answer["body"])["code"] == "missing-scope"
    assert await world.followers.caller(SOCKET) is None


async def test_a_frame_is_refused_to_a_connection_that_lacks_its_scope(
    world: FollowedJobs, handler: WebSocketHandler, notifier: MemoryNotifier
) -> None:
    job = await world.submitted()
    others = Caller(job.tenant, frozenset({*Scope} - {Scope.READ}))
    await world.subscriptions.connect(Connection(SOCKET, ENDPOINT), others, base_url="")
    await handler.handle(golden("subscribe"))
    (frame,) = notifier.frames(SOCKET)
    assert (frame["type"], frame["code"], frame["job_id"]) == ("error", "missing-scope", "job-1")
    assert await world.followers.of_job(job.id) == []


def test_every_frame_that_a_client_may_send_declares_its_scope() -> None:
    kinds = {kind.shape: kind.scope for kind in FRAMES.values()}
    assert kinds.keys() == {*get_args(ClientFrame)}
    shapes = [each for each in vars(frames).values() if hasattr(each, "model_fields")]
    assert kinds.keys() == {shape for shape in shapes if "action" in shape.model_fields}
    assert [shape for shape, scope in kinds.items() if scope is None] == [PingFrame]


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
