"""Requests that arrive slowly, never end, or come from too many connections."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

import anyio
import psutil
import pytest
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from comfyq.local import serving, socket_protocol
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.local.limits.places import Places
from comfyq.local.loop import new_event_loop
from comfyq.local.protocol import RequestLimits
from comfyq.local.serving import serving_app
from tests.gateway_lab import gateway_lab
from tests.raw_websocket import handshake
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

SHORT_S = 0.05
LONG_S = 60.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer how many bytes a body has, and at /held without an end; a WebSocket is accepted and
    read to its end."""
    if scope["type"] == "lifespan":
        await send_started(receive, send)
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    size, more = 0, True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body, is_held = str(size).encode(), scope["path"] == "/held"
    headers = [] if is_held else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": is_held})
    if is_held:
        await receive()


async def send_started(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> bytes:
        """Read until the server closes the connection."""
        with anyio.fail_after(10):
            return await self.reader.read()

    async def head(self) -> bytes:
        with anyio.fail_after(10):
            return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def served(
    *, total: int = 100, each_client: int = 100, head_s: float = LONG_S, body_s: float = LONG_S
) -> AsyncIterator[str]:
    limits = RequestLimits(
        places=Places(total=total, each_client=each_client),
        head_bytes=10_000,
        head_s=head_s,
        body_s=body_s,
        body_bytes=100,
    )
    async with serving_app(echo, host="127.0.0.1", port=0, limits=limits) as url:
        yield url


@asynccontextmanager
async def connected(url: str, sent: bytes = b"") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(sent)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 4_000,
        b"GET /" + b"a" * 20_000,
        CHUNKED + b"3\r\nabc\r\n0\r\nX: " + b"a" * 30_000,
        CHUNKED + b"3\r\nabc\r\n0\r\n" + b"A: b\r\n" * 5_000,
        CHUNKED + b"3;x=" + b"a" * 30_000,
    ],
    ids=["one header", "many headers", "url", "one trailer", "many trailers", "chunk"],
)
async def test_a_head_is_bounded(head: bytes) -> None:
    async with served() as url, connected(url, head) as client:
        assert (await client.answer()).startswith(b"HTTP/1.1 431 ")


async def test_nobody_says_for_whom_they_ask() -> None:
    async def who(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await send_started(receive, send)
            return
        seen = f"{scope['scheme']} {scope['client'][0]}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": seen})

    told = b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    async with (
        serving_app(who, host="127.0.0.1", port=0) as url,
        connected(url, b"GET / HTTP/1.1\r\nHost: x\r\n" + told) as client,
    ):
        assert b"http 127.0.0.1" in await client.answer()


@pytest.mark.parametrize("long", [b"X: " + b"a" * 8_100 + b"\r\n", b"X: a\r\n" * 120])
async def test_a_handshake_that_nobody_would_answer_is_refused(long: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    async with served() as url, connected(url, head + long + b"\r\n") as client:
        assert (await client.answer()).startswith(b"HTTP/1.1 431 ")


async def test_an_answer_has_the_date_of_its_making(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as url:
        dates = []
        for now_s in (0, 86_400):
            monkeypatch.setattr(serving, "DATED_FOR_S", 0.0)
            monkeypatch.setattr(serving, "formatdate", lambda *, usegmt: f"{now_s}")  # noqa: B023
            async with connected(url, GET) as client:
                dates.append(b"date: %d\r\n" % now_s in await client.head())
    assert dates == [True, True]


@pytest.mark.parametrize("repeated", [b"Host", b"Origin", b"Authorization", b"X-API-Key"])
@pytest.mark.parametrize("second", [b"a", b"b"])
async def test_a_request_says_once_who_sends_it_and_to_whom(repeated: bytes, second: bytes) -> None:
    """What a proxy has checked may be the other one."""
    host = b"" if repeated == b"Host" else b"Host: x\r\n"
    twice = repeated + b": a\r\n" + repeated.lower() + b": " + second + b"\r\n"
    head = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n" + host + twice + b"\r\n"
    async with served() as url, connected(url, head + b"x") as client:
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "bad-request"
    assert b"more than one " + repeated in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", b"400"),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"400"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200"),
    ],
)
async def test_only_http_1_0_may_leave_out_whom_it_is_for(head: bytes, status: bytes) -> None:
    async with served() as url, connected(url, head) as client:
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert answer.count(b"HTTP/1.1") == 1
    assert (b"it has no Host" in answer) == (status == b"400")


async def test_a_large_body_behind_a_head_is_no_head() -> None:
    sent = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"a" * 90_000
    async with served() as url, connected(url, sent * 2) as client:
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_body_of_many_small_chunks_is_no_head() -> None:
    sent = CHUNKED + b"1;x=y\r\na\r\n" * 20_000 + b"0\r\nX: y\r\n\r\n"
    async with served() as url, connected(url, sent) as client:
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_has_its_time(sent: bytes) -> None:
    async with served(head_s=SHORT_S) as url, connected(url, sent) as client:
        assert (await client.answer()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_has_its_time() -> None:
    async with served(body_s=SHORT_S) as url, connected(url, BODY + b"{") as client:
        assert (await client.answer()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("rest", "status", "code"),
    [
        (b"Content-Length: 9\r\n\r\n", 408, "too_slow"),
        (b"X: " + b"a" * 20_000, 431, "head_too_large"),
        (b"Host: y\r\n\r\n", 422, "invalid_request"),
    ],
    ids=["slow", "head", "twice"],
)
async def test_below_the_comfy_api_even_these_are_told_in_its_envelope(
    rest: bytes, status: int, code: str
) -> None:
    sent = b"POST /api/v2/assets?a=b HTTP/1.1\r\nHost: x\r\n" + rest
    async with served(body_s=SHORT_S) as url, connected(url, sent) as client:
        head, _, body = (await client.answer()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/json\r\n" in head
    error = json.loads(body)["error"]
    assert (error["code"], error["details"]) == (code, None)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (b"/v1/models", {"code": "head_too_large", "type": "invalid_request_error"}),
        (b"/v2/mine/run", {"code": "head-too-large"}),
        (b"/sdapi/v1/options", {"error": "head-too-large", "body": ""}),
    ],
)
async def test_so_they_are_in_the_words_of_facades(path: bytes, told: dict[str, str]) -> None:
    sent = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000
    async with served(body_s=SHORT_S) as url, connected(url, sent) as client:
        body = json.loads((await client.answer()).partition(b"\r\n\r\n")[2])
    error = body["error"] if isinstance(body["error"], dict) else body
    assert told.items() <= error.items()


async def test_a_body_that_arrives_steadily_is_waited_for() -> None:
    limits = RequestLimits(body_s=LONG_S, body_bytes=100)
    async with (
        serving_app(echo, host="127.0.0.1", port=0, limits=limits) as url,
        connected(url, BODY) as client,
    ):
        await until(lambda: any(held._in_body for held in limits.waiting))
        protocol = next(iter(limits.waiting))
        for _ in range(9):
            client.writer.write(b"a" * 100)
            await until(lambda: protocol._body_bytes == 100)
            protocol._overdue()
        client.writer.write(b"a" * 100)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_client_has_so_many_connections_and_gets_them_back() -> None:
    held = GET.replace(b"/", b"/held", 1)
    async with served(each_client=2) as url:
        async with connected(url, held) as one, connected(url, held) as two:
            assert [(await each.head())[9:12] for each in (one, two)] == [b"200", b"200"]
            async with connected(url) as third:
                assert (await third.answer()).startswith(b"HTTP/1.1 503 ")
        with anyio.fail_after(10):
            while True:
                async with connected(url, BODY + b"a" * 1_000) as fourth:
                    if (await fourth.head()).startswith(b"HTTP/1.1 200 "):
                        return


@pytest.mark.parametrize("places", [{"each_client": 2}, {"total": 2}])
async def test_a_request_that_does_not_arrive_gives_way(places: dict[str, int]) -> None:
    async with served(**places) as url, connected(url, BODY) as first, connected(url, BODY):
        await anyio.wait_all_tasks_blocked()
        async with connected(url, BODY + b"a" * 1_000) as third:
            assert (await third.head()).startswith(b"HTTP/1.1 200 ")
        assert (await first.answer()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("places", [{"each_client": 3}, {"total": 3}])
async def test_an_idle_connection_gives_way_first(places: dict[str, int]) -> None:
    async with (
        served(**places) as url,
        connected(url, BODY) as slow,
        connected(url, GET) as idle,
        connected(url, GET) as later,
    ):
        assert b" 200 " in await idle.head()
        assert b" 200 " in await later.head()
        async with connected(url, GET) as newer:
            assert b" 200 " in await newer.head()
            assert b"HTTP" not in await idle.answer(), "no answer to what was not asked"
            for client, rest in ((later, GET), (slow, b"a" * 1_000)):
                client.writer.write(rest)
                assert b" 200 " in await client.head()


async def test_a_request_that_waits_to_be_read_gives_way_to_none() -> None:
    async with served(total=1) as url:
        both = [at_once(url) for _ in range(2)]
        for each in both:
            each.sendall(GET)
        first, second = [await answer_of(each) for each in both]
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 503")


def test_new_connections_do_not_wait_for_each_other() -> None:
    async def turns() -> int:
        limits = RequestLimits(places=Places(total=100, each_client=100))
        async with serving_app(echo, host="127.0.0.1", port=0, limits=limits) as url:
            together, count = [at_once(url) for _ in range(64)], 0
            while limits.places.taken.total() < len(together):
                await asyncio.sleep(0)
                count += 1
            for each in together:
                each.close()
        return count

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(turns()) < 16, "each turn of the loop takes many"


def at_once(url: str) -> socket.socket:
    """Connect before the loop of this thread, which is the server's, does anything."""
    connection = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
    connection.setblocking(False)
    return connection


async def answer_of(connection: socket.socket) -> bytes:
    with closing(connection), anyio.fail_after(10):
        return await asyncio.get_running_loop().sock_recv(connection, 65_536)


def test_places_are_counted_by_client_and_in_all() -> None:
    places = Places(total=3, each_client=2)
    assert [places.take(client) for client in "aaabb"] == [True, True, False, True, False]
    places.leave("a")
    assert places.take("b")
    assert not places.take("a")


async def test_a_client_has_so_many_sockets() -> None:
    async with gateway_lab(GatewaySettings(sockets_per_client=1)) as lab:
        async with connect(f"{lab.url}/local"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{lab.url}/local")
        assert refused.value.response.status_code == 503
        with anyio.fail_after(10):
            while True:
                try:
                    async with connect(f"{lab.url}/local"):
                        return
                except InvalidStatus:
                    continue


async def test_an_address_opens_sockets_so_often() -> None:
    """Those that are refused count too: each asks whose key it is."""
    async with gateway_lab(GatewaySettings(handshakes_per_client=3)) as lab:
        lab.more = {"statusCode": 401}
        answers = []
        for _ in range(4):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{lab.url}/local")
            answers.append(refused.value.response)
        assert [each.status_code for each in answers] == [401, 401, 401, 429]
        assert int(answers[-1].headers["Retry-After"]) in range(1, 21)
        assert len(lab.of_kind("CONNECT")) == 3


async def test_a_frame_is_bounded_by_the_server() -> None:
    async with served() as url, connect(url.replace("http", "ws")) as client:
        await client.send("a" * 1_000_000)
        with pytest.raises(ConnectionClosedError) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_who_does_not_read_keeps_no_connection_when_its_socket_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket_protocol, "LINGER_S", SHORT_S)

    async def flooding(scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client's buffers and the server's are full, and end the socket."""
        if scope["type"] == "lifespan":
            await send_started(receive, send)
            return
        await send({"type": "websocket.accept"})
        while True:
            with anyio.move_on_after(SHORT_S) as patience:
                await send({"type": "websocket.send", "text": "x" * 100_000})
            if patience.cancelled_caught:
                return

    async with serving_app(flooding, host="127.0.0.1", port=0) as url:
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as client:
            client.sendall(handshake("127.0.0.1", "/"))
            here = client.getsockname()
            await until(lambda: here in served_by_us())
            await until(lambda: here not in served_by_us())


def served_by_us() -> set[tuple[object, ...]]:
    """Return the clients of connections that this process has."""
    connections = psutil.Process().net_connections(kind="tcp4")
    return {tuple(each.raddr) for each in connections if each.raddr}
