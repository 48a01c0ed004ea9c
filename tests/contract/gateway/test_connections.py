"""The @connections API of a gateway, as boto3 speaks it, and the limits of its sockets.

https://docs.aws.amazon.com/apigateway/latest/developerguide/
apigateway-how-to-call-websocket-api-connections.html
"""

import json
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
import requests
import websockets
from websockets.asyncio.client import ClientConnection

from comfyq.ports.notifier import Connection, ConnectionGone
from tests.gateway_lab import (
    Event,
    GatewayLab,
    closed,
    connect,
    eventually,
    real_notifier,
    received,
)
from tests.gateways import Opened, not_ministack

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

KIB = 1024
NEVER_OPENED = "L0SM9cOFvHcCIhw="


async def called(call: Callable[..., Any], **arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(lambda: call(**arguments))


async def post(lab: GatewayLab, frame: bytes) -> None:
    """Post a frame to the connection that came last."""
    await called(lab.api.post_to_connection, ConnectionId=lab.connection_id, Data=frame)


async def closed_with(client: ClientConnection) -> int | None:
    """Return the code that a socket is closed with, without another frame before."""
    with anyio.fail_after(10), pytest.raises(websockets.ConnectionClosed) as end:
        await client.recv()
    return end.value.rcvd.code if end.value.rcvd else None


async def test_what_is_posted_arrives_in_order(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        for number in range(20):
            await post(lab, json.dumps({"number": number, "snow": "\N{SNOWMAN}"}).encode())
        frames = [await received(client) for _ in range(20)]
    assert [frame["number"] for frame in frames] == list(range(20))
    assert {frame["snow"] for frame in frames} == {"\N{SNOWMAN}"}


async def test_what_is_no_utf_8_is_replaced(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        await post(lab, b'{"a": "\xff"}')
        assert await received(client) == {"a": "\N{REPLACEMENT CHARACTER}"}


@not_ministack("spells the fields otherwise than boto3 reads them")
async def test_a_connection_is_described(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        connection_id = lab.connection_id
        first = await called(lab.api.get_connection, ConnectionId=connection_id)
        await client.send('{"action": "ping"}')
        await received(client)
        second = await called(lab.api.get_connection, ConnectionId=connection_id)
    assert first["Identity"]["SourceIp"] == "127.0.0.1"
    assert first["Identity"]["UserAgent"].startswith("Python/")
    assert first["ConnectedAt"] == second["ConnectedAt"] <= second["LastActiveAt"]
    assert first["LastActiveAt"] <= second["LastActiveAt"]


async def test_deleting_a_connection_closes_its_socket_and_tells_the_function(
    opened: Opened,
) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        await called(lab.api.delete_connection, ConnectionId=lab.connection_id)
        assert await closed(client) == (1000, [])
        await eventually(lambda: bool(lab.of_kind("DISCONNECT")))


@pytest.mark.parametrize("operation", ["post_to_connection", "get_connection", "delete_connection"])
async def test_a_connection_that_has_ended_is_gone(opened: Opened, operation: str) -> None:
    more = {"Data": b"{}"} if operation == "post_to_connection" else {}
    async with opened() as lab:
        async with connect(f"{lab.url}/local"):
            connection_id = lab.connection_id
        await eventually(lambda: bool(lab.of_kind("DISCONNECT")))
        for name in (connection_id, NEVER_OPENED):
            with pytest.raises(lab.api.exceptions.GoneException):
                await called(getattr(lab.api, operation), ConnectionId=name, **more)


async def test_a_connection_is_not_there_before_its_handshake_is_over(opened: Opened) -> None:
    gone: list[str] = []

    async def post_back(event: Event) -> None:
        if event["requestContext"]["eventType"] == "CONNECT":
            connection = Connection(event["requestContext"]["connectionId"], lab.endpoint)
            with real_notifier() as notifier, pytest.raises(ConnectionGone):
                await notifier.post(connection, b"{}")
            gone.append(connection.id)

    async with opened() as lab:
        lab.before = post_back
        async with connect(f"{lab.url}/local"):
            assert gone == [lab.connection_id]


async def test_128_kib_pass_either_way(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        await post(lab, json.dumps("x" * (128 * KIB - 2)).encode())
        assert len(await received(client)) == 128 * KIB - 2
        await client.send("x" * 128 * KIB)
        assert (await received(client))["code"] == "invalid-request"


@not_ministack("posts frames of any size")
async def test_more_than_128_kib_are_not_posted(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local"):
        with pytest.raises(lab.api.exceptions.PayloadTooLargeException):
            await post(lab, b"x" * (128 * KIB + 1))


@not_ministack("takes messages of any size")
async def test_who_sends_more_than_128_kib_is_closed(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        await client.send("x" * (128 * KIB + 1))
        assert await closed_with(client) == 1009


@not_ministack("takes binary frames as text")
async def test_who_sends_binary_frames_is_closed(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local") as client:
        await client.send(b"\x00")
        assert await closed_with(client) == 1003


@not_ministack("asks for no signature, unless it asks all its services' callers for one of IAM")
async def test_who_has_not_signed_is_refused(opened: Opened) -> None:
    async with opened() as lab, connect(f"{lab.url}/local"):
        url = f"{lab.endpoint}/@connections/{lab.connection_id}"
        answer = await called(requests.post, url=url, data="{}", timeout=5)
    assert answer.status_code == 403
