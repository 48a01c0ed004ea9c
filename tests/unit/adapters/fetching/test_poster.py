"""Posting to servers of this machine: its guard, its limits, its words."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from comfyq.adapters.fetching.look_up import THREADS, ZONE_SHARE, SystemLookUp, zone_of
from comfyq.adapters.fetching.poster import MAX_HEAD_BYTES, HttpPoster
from comfyq.domain.caller import TenantId
from comfyq.domain.public_addresses import Allowed
from comfyq.ports.webhooks import WebhookAnswer, WebhookUnsent

pytestmark = pytest.mark.anyio

LOOPBACK = Allowed.of(["127.0.0.1"])
HEADERS = {"webhook-id": "msg_1"}
ACME, OTHER = TenantId("acme"), TenantId("other")
BODY = b'{"type": "job.completed"}'


class RawReceiver:
    """Answers each connection with ``answer``, byte for byte, and keeps what it was sent."""

    def __init__(self, answer: bytes, *, hangs: bool = False) -> None:
        self.requests: list[bytes] = []
        self.port = 0
        self._answer = answer
        self._hangs = hangs

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hidden"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head + await reader.readexactly(len(BODY)))
            writer.write(self._answer)
            await writer.drain()
            if self._hangs:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the poster has gone
        finally:
            writer.close()


@asynccontextmanager
async def receiving(answer: bytes, *, hangs: bool = False) -> AsyncIterator[RawReceiver]:
    receiver = RawReceiver(answer, hangs=hangs)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        receiver.port = server.sockets[0].getsockname()[1]
        yield receiver


async def test_a_post_is_one_plain_request() -> None:
    async with receiving(b"HTTP/1.1 204 No Content\r\n\r\n") as receiver:
        answer = await HttpPoster(allowed=LOOPBACK).post(receiver.url, HEADERS, BODY, tenant=ACME)
    assert answer == WebhookAnswer(204)
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /hook?token=hidden HTTP/1.1"
    assert f"Host: 127.0.0.1:{receiver.port}" in lines
    assert "webhook-id: msg_1" in lines
    assert f"Content-Length: {len(BODY)}" in lines
    assert body == BODY


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", WebhookAnswer(200)),
        (b"HTTP/1.0 500\r\n\r\n", WebhookAnswer(500)),
        (b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 201 Created\r\n\r\n", WebhookAnswer(201)),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\n\r\n", WebhookAnswer(429, "120")),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n",
            WebhookAnswer(302),
        ),
    ],
)
async def test_of_an_answer_the_head_counts(sent: bytes, answer: WebhookAnswer) -> None:
    """A redirect is an answer: where it leads to is asked nothing."""
    async with receiving(sent, hangs=True) as receiver:
        assert (
            await HttpPoster(allowed=LOOPBACK).post(receiver.url, HEADERS, BODY, tenant=ACME)
            == answer
        )
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "the receiver broke off before it had answered"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the receiver's answer is not valid HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "the receiver's answer is not valid HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nA: " + b"a" * 2 * MAX_HEAD_BYTES,
            "the head of the receiver's answer is too large",
        ),
    ],
)
async def test_no_answer_says_why(sent: bytes, why: str) -> None:
    async with receiving(sent) as receiver:
        with pytest.raises(WebhookUnsent) as unsent:
            await HttpPoster(allowed=LOOPBACK).post(receiver.url, HEADERS, BODY, tenant=ACME)
    assert str(unsent.value) == why


async def test_a_receiver_has_its_time_in_all() -> None:
    async with receiving(b"HTTP/1.1 2", hangs=True) as receiver:
        with pytest.raises(WebhookUnsent, match=r"no answer came within 0\.2 s"):
            await HttpPoster(allowed=LOOPBACK, total_s=0.2).post(
                receiver.url, HEADERS, BODY, tenant=ACME
            )


async def test_a_plain_server_has_no_tls() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(WebhookUnsent, match="TLS"):
            await HttpPoster(allowed=LOOPBACK).post(url, HEADERS, BODY, tenant=ACME)


async def test_nothing_is_sent_to_what_is_not_public() -> None:
    async def inner(tenant: TenantId, host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    async with receiving(b"HTTP/1.1 200 OK\r\n\r\n") as receiver:
        named = f"http://receiver.example:{receiver.port}/hook?token=hidden"
        for url in (receiver.url, named, f"http://[::ffff:127.0.0.1]:{receiver.port}/"):
            with pytest.raises(WebhookUnsent, match="not in the public internet") as unsent:
                await HttpPoster(look_up=inner).post(url, HEADERS, BODY, tenant=ACME)
            assert "hidden" not in str(unsent.value)
        metadata = Allowed.of(["169.254.0.0/16"])
        with pytest.raises(WebhookUnsent, match="not in the public internet"):
            await HttpPoster(allowed=metadata).post(
                "http://169.254.169.254/", HEADERS, BODY, tenant=ACME
            )
    assert receiver.requests == []


async def test_a_name_is_connected_to_by_the_address_that_was_checked() -> None:
    asked: list[str] = []

    async def rebinding(tenant: TenantId, host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async with receiving(b"HTTP/1.1 204 No Content\r\n\r\n") as receiver:
        url = f"http://receiver.example:{receiver.port}/"
        allowed = Allowed.of(["receiver.example"])
        await HttpPoster(allowed=allowed, look_up=rebinding).post(url, HEADERS, BODY, tenant=ACME)
    assert asked == ["receiver.example"]
    assert f"Host: receiver.example:{receiver.port}".encode() in receiver.requests[0]


async def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def both(tenant: TenantId, host: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    connect = asyncio.open_connection

    async def connected(address: str, *rest: Any, **more: Any) -> Any:
        if address == "127.0.0.2":
            await asyncio.Event().wait()
        return await connect(address, *rest, **more)

    monkeypatch.setattr(asyncio, "open_connection", connected)
    async with receiving(b"HTTP/1.1 204 No Content\r\n\r\n") as receiver:
        url = f"http://receiver.example:{receiver.port}/"
        poster = HttpPoster(allowed=Allowed.of(["receiver.example"]), look_up=both, total_s=1)
        assert (await poster.post(url, HEADERS, BODY, tenant=ACME)).code == 204


async def test_names_are_looked_up_in_threads_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_answer, asked = threading.Event(), list[str]()

    def silent(host: str, port: int, **_: object) -> list[Any]:
        asked.append(threading.current_thread().name)
        may_answer.wait(30)
        raise OSError("unknown")

    async def inner(tenant: TenantId, host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1"]

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    look_up = SystemLookUp("names-of-tests")
    looks = [asyncio.create_task(look_up(ACME, f"{n}.example", 80)) for n in range(2 * ZONE_SHARE)]
    looks += [
        asyncio.create_task(look_up(ACME, f"a.{n}-zone.example", 80)) for n in range(2 * THREADS)
    ]
    try:
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "others go on") == "others go on"
    finally:
        may_answer.set()
    ended = await asyncio.gather(*looks, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in ended)
    assert all(each.startswith("names-of-tests") for each in asked)


async def test_names_of_one_zone_that_nobody_answers_for_leave_threads_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_answer = threading.Event()

    def resolved(host: str, port: int, **_: object) -> list[Any]:
        if host.endswith("dead.example"):
            may_answer.wait(30)
            raise OSError("unknown")
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    look_up = SystemLookUp("names-of-tests")
    dead = [asyncio.create_task(look_up(ACME, f"{n}.dead.example", 80)) for n in range(2 * THREADS)]
    try:
        async with asyncio.timeout(10):
            assert await look_up(ACME, "other.example", 80) == ["127.0.0.1"]
        for each in dead:  # their callers have no more time, and the threads do not know
            each.cancel()
        await asyncio.gather(*dead, return_exceptions=True)
        async with asyncio.timeout(10):
            assert await look_up(ACME, "other.example", 80) == ["127.0.0.1"]
        late = asyncio.create_task(look_up(ACME, "late.dead.example", 80))
        await asyncio.sleep(0)
        assert not late.done()
    finally:
        may_answer.set()
    with pytest.raises(OSError, match="unknown"):
        await late  # in a thread that is free again


async def test_a_tenant_all_of_whose_zones_are_dead_leaves_threads_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_answer, asked = threading.Event(), list[str]()

    def resolved(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        if host.endswith("-dead.example"):
            may_answer.wait(30)
            raise OSError("unknown")
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    look_up = SystemLookUp("names-of-tests")
    names = [f"a.{n}-dead.example" for n in range(2 * THREADS)]
    dead = [asyncio.create_task(look_up(ACME, name, 80)) for name in names]
    try:
        await asyncio.sleep(0)  # each has begun, or waits
        async with asyncio.timeout(10):
            assert await look_up(OTHER, "b.example", 80) == ["127.0.0.1"]
        assert set(asked) <= {"b.example", *names[: THREADS // 2]}
        for each in dead:  # their callers have no more time, and the threads do not know
            each.cancel()
        await asyncio.gather(*dead, return_exceptions=True)
        late = asyncio.create_task(look_up(ACME, "c.example", 80))
        async with asyncio.timeout(10):
            assert await look_up(OTHER, "d.example", 80) == ["127.0.0.1"]
        assert not late.done()
    finally:
        may_answer.set()
    assert await late == ["127.0.0.1"]  # in a thread that is free again


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("a.b.receiver.example", "receiver.example"),
        ("Receiver.example.", "receiver.example"),
        ("hooks.receiver.co.uk", "receiver.co.uk"),
        ("co.uk", "co.uk"),
        ("receiver", "receiver"),
    ],
)
def test_zones_are_what_is_registered(host: str, zone: str) -> None:
    assert zone_of(host) == zone


async def test_a_closed_port_and_an_unknown_name() -> None:
    async def nowhere(tenant: TenantId, host: str, port: int) -> Sequence[str]:
        raise OSError("unknown")

    async def inner(tenant: TenantId, host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1"]

    async with receiving(b"") as receiver:
        url = receiver.url
    with pytest.raises(WebhookUnsent, match="connection to the receiver failed"):
        await HttpPoster(allowed=LOOPBACK).post(url, HEADERS, BODY, tenant=ACME)
    told = []
    for look_up in (nowhere, inner):
        with pytest.raises(WebhookUnsent, match="has no address") as unsent:
            await HttpPoster(look_up=look_up).post(
                "http://receiver.example/", HEADERS, BODY, tenant=ACME
            )
        told.append(str(unsent.value))
    assert told[0] == told[1]  # else whoever names URLs learns which names our network has
    for host in ("a..b", "a" * 64):  # which no name of a host can be
        with pytest.raises(WebhookUnsent, match="has no address"):
            await HttpPoster().post(f"http://{host}/", HEADERS, BODY, tenant=ACME)
