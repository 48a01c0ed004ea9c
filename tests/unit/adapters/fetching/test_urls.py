"""URLs as the servers of input files see them: a signature covers their very bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import EAI_AGAIN, gaierror

import pytest

from comfyq.adapters.fetching.fetcher import HttpFetcher
from comfyq.adapters.fetching.urls import read_url, redirected
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import InputForbidden, InputInvalid, InputUnavailable
from comfyq.domain.public_addresses import Allowed

pytestmark = pytest.mark.anyio

SIGNED = "/k%2Fx%7E/%41a+b/../;c/k.png?X-Amz-Credential=A%2F2026%2Fs3&sig=a%2Bb%7E&&z=+%20&e=?/:@"
BASE = read_url("http://h:81/a%2Fb//c/d.png?x=%7E")


@asynccontextmanager
async def serving(*answers: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that sends ``answers`` in order, the last again and again: its origin, and the
    targets that it is asked for."""
    asked: list[str] = []
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0].decode().split(" ")[1])
        writer.write((left.pop(0) if len(left) > 1 else left[0]).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


def found(location: str) -> str:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"


def picture() -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{'p' * 8}"


async def fetch(url: str) -> bytes:
    return await HttpFetcher(allowed=Allowed.of(["127.0.0.1"])).fetch(
        url, tenant=DEFAULT_TENANT, kind="image", max_bytes=100
    )


async def test_a_server_sees_path_and_query_byte_for_byte() -> None:
    async with serving(picture()) as (origin, asked):
        assert await fetch(f"\n {origin.replace('http', 'HTTP')}{SIGNED}#top ") == b"p" * 8
    assert asked == [SIGNED]


async def test_so_does_the_server_that_another_redirects_to() -> None:
    async with (
        serving(picture()) as (target, seen),
        serving(found(f"{target}{SIGNED}")) as (origin, _),
    ):
        await fetch(f"{origin}/away?y=%7E")
    assert seen == [SIGNED]


async def test_and_after_relative_redirects() -> None:
    answers = [found(SIGNED), found("?only=%7E&query"), found("e%2Ff?x=%2B"), picture()]
    async with serving(*answers) as (origin, asked):
        await fetch(f"{origin}/k.png?y=%7E")
    path = SIGNED.partition("?")[0]
    folder = path.rpartition("/")[0]
    assert asked == ["/k.png?y=%7E", SIGNED, f"{path}?only=%7E&query", f"{folder}/e%2Ff?x=%2B"]


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://o.example:9/%7E?%7E", "https://o.example:9/%7E?%7E"),
        ("//other/%7E", "http://other/%7E"),
        ("/x//%2F?%7E", "http://h:81/x//%2F?%7E"),
        ("?y=%2F", "http://h:81/a%2Fb//c/d.png?y=%2F"),
        ("e%7E", "http://h:81/a%2Fb//c/e%7E"),
        ("./e", "http://h:81/a%2Fb//c/e"),
        ("../e", "http://h:81/a%2Fb//e"),
        ("../../../../../e", "http://h:81/e"),
        (" /x ", "http://h:81/x"),
    ],
)
def test_where_a_redirect_leads(location: str, target: str) -> None:
    assert str(redirected(BASE, location)) == target


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h", "/"),
        ("http://h?a=b", "/?a=b"),
        ("http://h/a?", "/a?"),
        ("http://h/ü b\r\nX: y?ö", "/%C3%BC%20b%0D%0AX:%20y?%C3%B6"),
        ("http://h/%", "/%"),
    ],
)
def test_what_no_request_can_carry_is_escaped_and_nothing_else(url: str, sent: str) -> None:
    assert read_url(url).raw_path_qs == sent


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://user:SECRET@h/", InputForbidden),
        ("http://SECRET@h/", InputForbidden),
        ("gopher://h/SECRET", InputForbidden),
        ("http:///SECRET", InputInvalid),
        ("http://h\r\nHost: x/SECRET", InputInvalid),
        ("http://[::1/SECRET", InputInvalid),
        ("http://h:1x/SECRET", InputInvalid),
    ],
)
def test_what_is_not_fetched_and_no_secret_in_the_reason(url: str, error: type[Exception]) -> None:
    for read in (read_url, lambda text: redirected(BASE, text)):
        with pytest.raises(error) as raised:
            read(url)
        assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "broke off"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", "broke off"),
        ("nonsense\r\n\r\n", "not valid HTTP"),
    ],
)
async def test_reasons_name_no_classes_of_libraries(answer: str, reason: str) -> None:
    async with serving(answer) as (origin, _):
        with pytest.raises(InputUnavailable, match=reason) as raised:
            await fetch(f"{origin}/?SECRET")
    assert "SECRET" not in str(raised.value)
    assert "Error" not in str(raised.value)


async def test_nor_does_a_server_that_is_away() -> None:
    async def nowhere(tenant: TenantId, host: str, port: int) -> list[str]:
        raise gaierror(EAI_AGAIN, "no name server answers")

    for url, reason in [
        ("http://127.0.0.1:1/?SECRET", "does not accept connections"),
        ("http://nowhere.invalid/?SECRET", "cannot be looked up now"),
    ]:
        by = HttpFetcher(allowed=Allowed.of(["127.0.0.1"]), look_up=nowhere)
        with pytest.raises(InputUnavailable, match=reason):
            await by.fetch(url, tenant=DEFAULT_TENANT, kind="image", max_bytes=100)
