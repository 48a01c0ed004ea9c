"""The events that a gateway hands to its functions.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
"""

import json
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.gateway_lab import Event, Frame, connect, eventually, received
from tests.gateways import Opened, not_ministack

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

GOLDEN = Path(__file__).parents[2] / "data" / "websocket"
KINDS = ("connect", "subscribe", "default", "disconnect")


async def asked(client: ClientConnection, text: str) -> Frame:
    """Send a text, and return the frame that answers it."""
    await client.send(text)
    return await received(client)


async def test_a_handshake_hands_on_its_headers_and_its_query(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local?a=1&a=2&b="):
        [event] = lab.of_kind("CONNECT")
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    headers = {name.lower(): value for name, value in event["headers"].items()}
    assert headers["user-agent"].startswith("Python/")
    assert headers["sec-websocket-version"] == "13"


async def test_every_event_names_its_kind_its_route_and_its_connection(opened: Opened) -> None:
    async with opened() as lab:
        async with connect(f"{lab.url}/local") as client:
            await asked(client, '{"action": "ping"}')
        await eventually(lambda: bool(lab.of_kind("DISCONNECT")))
        about = [event["requestContext"] for event in lab.events]
    assert [(each["eventType"], each["routeKey"]) for each in about] == [
        ("CONNECT", "$connect"),
        ("MESSAGE", "$default"),
        ("DISCONNECT", "$disconnect"),
    ]
    assert len({each["connectionId"] for each in about}) == 1
    assert {each["stage"] for each in about} == {"local"}
    assert len({each["requestId"] for each in about}) == len(about)
    assert {each["identity"]["sourceIp"] for each in about} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ('{"action": "subscribe", "job_id": "a"}', "subscribe"),
        ('{"action": "unsubscribe", "job_id": "a"}', "unsubscribe"),
        ('{"action": "ping"}', "$default"),
        ('{"action": 5}', "$default"),
        ("[1]", "$default"),
        ("no json", "$default"),
    ],
)
async def test_a_message_goes_to_the_route_that_its_action_names(
    opened: Opened, text: str, route: str
) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        await asked(client, text)
        [event] = lab.of_kind("MESSAGE")
    assert event["requestContext"]["routeKey"] == route
    assert event["requestContext"]["messageId"]
    assert (event["body"], event["isBase64Encoded"]) == (text, False)


@not_ministack("ends the socket of who sends JSON that is too deep to be read")
async def test_what_cannot_be_read_goes_to_the_default_route(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        assert (await asked(client, "[" * 9_000))["code"] == "invalid-request"


@not_ministack("tells 1006 without a reason, whatever the client has said")
async def test_the_end_of_a_socket_has_the_clients_code_and_reason(opened: Opened) -> None:
    async with opened() as lab:
        async with connect(f"{lab.url}/local") as client:
            await client.close(4001, "done")
        await eventually(lambda: bool(lab.of_kind("DISCONNECT")))
        [event] = lab.of_kind("DISCONNECT")
    about = event["requestContext"]
    assert (about["disconnectStatusCode"], about["disconnectReason"]) == (4001, "done")


async def test_a_socket_that_the_function_refuses_is_not_opened(opened: Opened) -> None:
    async with opened() as lab:
        with pytest.raises(websockets.InvalidStatus):
            await connect(f"{lab.url}/local?job_id=unknown")
        assert lab.of_kind("CONNECT")
        async with connect(f"{lab.url}/local") as client:  # so what came before has been handled
            await asked(client, '{"action": "ping"}')
        assert lab.events[1]["requestContext"]["eventType"] == "CONNECT"


@not_ministack("refuses every handshake with 403")
async def test_the_function_says_the_status_of_a_refusal(opened: Opened) -> None:
    async with opened() as lab:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"{lab.url}/local?job_id=unknown")
    assert refused.value.response.status_code == 404


async def crash(event: Event) -> None:
    raise RuntimeError("a bug")


@not_ministack("refuses every handshake with 403")
async def test_a_function_that_raises_refuses_the_handshake_as_a_bad_gateway(
    opened: Opened,
) -> None:
    async with opened() as lab:
        lab.before = crash
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"{lab.url}/local")
    assert refused.value.response.status_code == 502


@not_ministack("sends what the function raised")
async def test_a_function_that_raises_is_an_internal_server_error(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        lab.before = crash
        await client.send("{}")
        frame = json.loads(await client.recv())
        assert frame.keys() == {"message", "connectionId", "requestId"}
        assert frame["message"] == "Internal server error"
        assert frame["connectionId"] == lab.connection_id
        lab.before = None
        assert await asked(client, '{"action": "ping"}') == {"type": "pong"}


@not_ministack("sends what a function returns also where the route has no response")
async def test_what_the_function_returns_is_sent_to_nobody(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        lab.more = {"body": '"returned"'}
        for _ in range(2):
            assert await asked(client, '{"action": "ping"}') == {"type": "pong"}


@not_ministack("gives the time of the event")
async def test_every_event_tells_when_the_socket_was_opened(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        await asked(client, '{"action": "ping"}')
        await eventually(lambda: len(lab.events) == 2)
    connected, sent = (event["requestContext"] for event in lab.events[:2])
    assert connected["connectedAt"] == sent["connectedAt"]


@not_ministack("leaves out messageDirection, and the headers of the last event")
async def test_events_have_the_shape_of_api_gateways_own(opened: Opened) -> None:
    async with opened() as lab:
        await lab.world.submitted()
        async with connect(f"{lab.url}/local?job_id=job-1") as client:
            await asked(client, '{"action": "subscribe", "job_id": "job-1"}')
            await asked(client, '{"action": "ping"}')
        await eventually(lambda: bool(lab.of_kind("DISCONNECT")))
        for name, made in zip(KINDS, lab.events, strict=True):
            assert shape(made) == shape(json.loads((GOLDEN / f"{name}.json").read_text())), name


def shape(value: Any) -> Any:
    """The names and types of an event, without its headers' names, which clients choose."""
    if not isinstance(value, dict):
        return type(value).__name__
    return {
        name: "headers" if name in ("headers", "multiValueHeaders") else shape(inner)
        for name, inner in value.items()
    }
