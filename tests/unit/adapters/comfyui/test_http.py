"""Requests over kept connections, before a server that answers with given bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from comfyq.adapters.comfyui.http.connection import (
    HELD_BYTES,
    BrokenOff,
    Connection,
    NoConnection,
    NoHTTP,
)
from comfyq.adapters.comfyui.http.requests import Requests

pytestmark = pytest.mark.anyio

LONG_S = 10.0  # longer than anything here takes
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CUT = object()  # the server closes the connection

Step = bytes | object


@dataclass
class Server:
    """Answers the requests of all its connections, one after another, by a script."""

    script: list[Sequence[Step]]
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                self.heard.append(head + await reader.readexactly(int(length or 0)))
                for step in self.script.pop(0):
                    if not isinstance(step, bytes):
                        return
                    writer.write(step)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*script: Sequence[Step]) -> AsyncIterator[tuple[Server, Requests]]:
    served = Server(list(script))
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    async with server:
        served.port = server.sockets[0].getsockname()[1]
        requests = Requests(served.url, connect_s=LONG_S)
        try:
            yield served, requests
        finally:
            requests.close()


async def ended(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110 - the server rings for nobody
            await asyncio.sleep(0.001)


async def read(requests: Requests, target: str = "view") -> tuple[int, bytes]:
    async with requests.opened(target, idle_s=LONG_S) as answer:
        return answer.status, b"".join([piece async for piece in answer.pieces(within_s=LONG_S)])


async def test_requests_share_a_connection() -> None:
    async with serving([OK], [OK], [OK]) as (server, requests):
        assert await requests.ask("GET", "queue", within_s=LONG_S) == (200, b"{}")
        assert await requests.ask("POST", "prompt", b'{"a": 1}', within_s=LONG_S) == (200, b"{}")
        assert await read(requests) == (200, b"{}")
    assert server.connections == 1
    asked, posted, viewed = server.heard
    assert asked.startswith(b"GET /queue HTTP/1.1\r\nHost: 127.0.0.1:")
    assert posted.endswith(b'Content-Length: 8\r\n\r\n{"a": 1}')
    assert viewed.startswith(b"GET /view HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 5\r\n\r\nab", b"cde"],
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            b"3\r\ncde\r\n0\r\n\r\n",
        ],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"],
        [b"HTTP/1.0 200 OK\r\n\r\nab", b"cde", CUT],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde", CUT],
    ],
    ids=["split", "chunked", "continue", "old", "until-closed"],
)
async def test_bodies_of_every_length(answer: Sequence[Step]) -> None:
    async with serving(answer, answer) as (_, requests):
        assert await requests.ask("GET", "a", within_s=LONG_S) == (200, b"abcde")
        assert await read(requests) == (200, b"abcde")


async def test_a_connection_that_the_server_gives_up_is_not_used_again() -> None:
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with serving([last], [OK]) as (server, requests):
        for _ in range(2):
            await requests.ask("GET", "a", within_s=LONG_S)
    assert server.connections == 2


async def test_a_read_is_repeated_where_a_kept_connection_has_ended_and_a_change_is_not() -> None:
    async with serving([OK], [CUT], [OK], [CUT]) as (server, requests):
        await requests.ask("GET", "a", within_s=LONG_S)
        assert await requests.ask("GET", "b", within_s=LONG_S) == (200, b"{}")
        with pytest.raises(BrokenOff):
            await requests.ask("POST", "prompt", b"{}", within_s=LONG_S)
    assert [line.split()[1] for line in server.heard] == [b"/a", b"/b", b"/b", b"/prompt"]


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
async def test_an_answer_that_breaks_off_is_none(part: bytes) -> None:
    async with serving([part, CUT], [part, CUT]) as (_, requests):
        with pytest.raises(BrokenOff):
            await requests.ask("GET", "a", within_s=LONG_S)
        with pytest.raises(BrokenOff):
            await read(requests)


@pytest.mark.parametrize(
    "noise", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000]
)
async def test_what_is_no_http_is_none(noise: bytes) -> None:
    async with serving([noise]) as (_, requests):
        with pytest.raises(NoHTTP):
            await requests.ask("GET", "a", within_s=LONG_S)


async def test_who_waits_too_long_or_is_canceled_closes_the_connection() -> None:
    never = asyncio.Event()
    open_ones = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_ones
        open_ones += 1
        await reader.read(-1)  # up to the end
        open_ones -= 1
        writer.close()
        never.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        requests = Requests(f"http://127.0.0.1:{port}/", connect_s=LONG_S)
        with pytest.raises(TimeoutError):
            await requests.ask("GET", "a", within_s=0.01)
        await ended(lambda: open_ones == 0)
        asking = asyncio.create_task(requests.ask("GET", "a", within_s=LONG_S))
        await ended(lambda: open_ones == 1)
        asking.cancel()
        await ended(lambda: open_ones == 0)


async def test_a_large_answer_waits_for_its_reader() -> None:
    """The server cannot send it all while nobody reads."""
    size = 64 * HELD_BYTES
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    pieces = [b"x" * HELD_BYTES] * 64
    async with serving([head, *pieces], [OK]) as (server, requests):
        async with requests.opened("view", idle_s=LONG_S) as answer:
            largest = total = 0
            async for piece in answer.pieces(within_s=LONG_S):
                largest, total = max(largest, len(piece)), total + len(piece)
                for _ in range(20):
                    await asyncio.sleep(0)
        assert total == size
        assert largest < 8 * HELD_BYTES
        assert await requests.ask("GET", "a", within_s=LONG_S) == (200, b"{}")
    assert server.connections == 1


async def test_a_body_that_is_not_read_to_its_end_costs_the_connection() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
    async with serving([begun], [OK]) as (server, requests):
        async with requests.opened("view", idle_s=LONG_S) as answer:
            assert answer.status == 200
        assert await requests.ask("GET", "a", within_s=LONG_S) == (200, b"{}")
    assert server.connections == 2


async def test_where_nothing_listens_the_error_says_so() -> None:
    async with serving() as (server, _):
        port = server.port
    for host in ("127.0.0.1", "localhost"):
        requests = Requests(f"http://{host}:{port}/", connect_s=LONG_S)
        with pytest.raises(ConnectionRefusedError):
            await requests.ask("GET", "a", within_s=LONG_S)
    with pytest.raises(NoConnection):
        await Requests("http://nowhere.invalid/", connect_s=LONG_S).ask("GET", "a", within_s=1)


async def test_a_redirect_to_another_place_of_the_same_server_is_followed() -> None:
    async with serving([OK], [OK], [OK]) as (there, _):
        moved = f"Location: http://127.0.0.1:{there.port}/there"
        posted = f"HTTP/1.1 308 Moved\r\n{moved}/prompt\r\nContent-Length: 0\r\n\r\n".encode()
        asked = f"HTTP/1.1 302 Found\r\n{moved}/view?a=b\r\nContent-Length: 0\r\n\r\n".encode()
        other = asked.replace(b"view?a=b", b"login")
        async with serving([posted], [asked], [asked], [other]) as (_, requests):
            assert await requests.ask("POST", "prompt", b"{}", within_s=LONG_S) == (200, b"{}")
            assert await requests.ask("GET", "view?a=b", within_s=LONG_S) == (200, b"{}")
            assert await read(requests, "view?a=b") == (200, b"{}")
            assert (await requests.ask("GET", "queue", within_s=LONG_S))[0] == 302
    assert [line.split()[1] for line in there.heard] == [
        b"/there/prompt",
        b"/there/view?a=b",
        b"/there/view?a=b",
    ]
    assert there.connections == 1


async def test_redirects_in_a_circle_end() -> None:
    around = b"HTTP/1.1 307 x\r\nLocation: /a/a\r\nContent-Length: 0\r\n\r\n"
    async with serving(*[[around]] * 20) as (server, requests):
        assert (await requests.ask("GET", "a", within_s=LONG_S))[0] == 307
    assert len(server.heard) == 2  # what leads to itself is not asked again


async def test_a_target_cannot_end_the_first_line_and_a_url_may_name_a_user() -> None:
    async with serving([OK]) as (server, _):
        user = "me:p%40ss"
        requests = Requests(f"http://{user}@127.0.0.1:{server.port}/behind/", connect_s=LONG_S)
        await requests.ask("GET", "a b\r\nX: y", within_s=LONG_S)
        requests.close()
    first, *headers = server.heard[0].decode().split("\r\n")
    assert first == "GET /behind/a%20b%0D%0AX:%20y HTTP/1.1"
    assert "Authorization: Basic bWU6cEBzcw==" in headers
    assert f"Host: 127.0.0.1:{server.port}" in headers


class SilentTransport(asyncio.Transport):
    """One that sends nothing anywhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def pause_reading(self) -> None: ...
    def abort(self) -> None: ...


async def answered(data: bytes) -> Connection:
    """Return a connection to which ``data`` came at once, while a reader waited for the head."""
    connection = Connection()
    connection.connection_made(SilentTransport())
    connection.send(b"GET / HTTP/1.1\r\n\r\n")
    reader = asyncio.ensure_future(connection.begun(within_s=LONG_S))
    await asyncio.sleep(0)
    connection.data_received(data)
    await reader
    return connection


async def test_a_connection_whose_reading_is_paused_is_not_kept() -> None:
    """It would hear neither the next answer nor that the server has closed it."""
    length = HELD_BYTES + 1
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    assert (await answered(head % length + b"x" * length)).is_reusable is False
    assert (await answered(head % 2 + b"xx")).is_reusable is True


async def test_an_answer_to_nothing_that_was_asked_changes_no_other() -> None:
    connection = await answered(OK + b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]")
    assert (connection.status, await connection.whole(within_s=LONG_S)) == (200, b"{}")
    assert not connection.is_reusable


async def test_a_redirect_that_names_no_place_is_an_answer() -> None:
    async with serving([b"HTTP/1.1 307 Away\r\nContent-Length: 0\r\n\r\n"]) as (server, requests):
        answer = await requests.ask("POST", "/prompt", b"{}", within_s=LONG_S)
    assert (answer[0], len(server.heard)) == (307, 1)
