"""The contract of notifiers, at a real socket where there is one."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass

import anyio
import pytest
from urllib3 import PoolManager
from websockets.asyncio.client import ClientConnection

from comfyq.adapters.apigw.notifier import ApiGatewayNotifier
from comfyq.adapters.gateway.notifier import GatewayNotifier
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.errors import NotifierUnavailable, TooLarge
from comfyq.ports.notifier import SIGNED_OUT, Connection, ConnectionGone, Notifier
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.gateway_lab import GatewayLab, connect, gateway_lab, real_notifier, secret

pytestmark = pytest.mark.anyio

LIMIT = 128 * 1024


@dataclass
class Subject:
    notifier: Notifier
    here: Connection  # open
    gone: Connection
    silent: Connection  # behind an endpoint that does not work
    received: Callable[[], Awaitable[str]]  # the next frame at ``here``
    there: Connection  # open, and of the same endpoint
    received_there: Callable[[], Awaitable[str]]


@asynccontextmanager
async def memory() -> AsyncIterator[Subject]:
    notifier = MemoryNotifier()
    notifier.gone.add("gone")
    notifier.unavailable.add("http://silent/local")
    here, there, gone = (Connection(id, "http://h/local") for id in ("here", "there", "gone"))

    async def next_at(connection: Connection) -> str:
        post = next(each for each in notifier.posts if each[0] == connection)
        notifier.posts.remove(post)
        return post[1].decode()

    silent = Connection("here", "http://silent/local")
    yield Subject(
        notifier, here, gone, silent, lambda: next_at(here), there, lambda: next_at(there)
    )


@contextmanager
def plain_notifier(_: GatewayLab) -> Iterator[GatewayNotifier]:
    notifier = GatewayNotifier(secret=secret, clock=SystemClock())
    try:
        yield notifier
    finally:
        notifier.close()


@contextmanager
def attached_notifier(lab: GatewayLab) -> Iterator[GatewayNotifier]:
    """Post as the process does that holds the gateway's sockets itself."""
    assert lab.deliver is not None, "the gateway runs"
    with plain_notifier(lab) as notifier, notifier.attached(lab.endpoint, lab.deliver):
        yield notifier


@asynccontextmanager
async def at_gateway(
    made: Callable[[GatewayLab], AbstractContextManager[Notifier]],
) -> AsyncIterator[Subject]:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with gateway_lab() as lab, connect(f"{lab.url}/local") as client:
        here = Connection(lab.connection_id, lab.endpoint)
        gone = Connection("b25jZSBoZXJl=", lab.endpoint)
        silent = Connection(here.id, f"http://127.0.0.1:{port}/local")

        async def next_at(socket: ClientConnection) -> str:
            with anyio.fail_after(10):
                return str(await socket.recv())

        async with connect(f"{lab.url}/local") as other:
            there = Connection(lab.connection_id, lab.endpoint)
            with made(lab) as notifier:
                yield Subject(
                    notifier,
                    here,
                    gone,
                    silent,
                    lambda: next_at(client),
                    there,
                    lambda: next_at(other),
                )


def apigw() -> AbstractAsyncContextManager[Subject]:
    return at_gateway(lambda _: real_notifier())


def gateway() -> AbstractAsyncContextManager[Subject]:
    return at_gateway(plain_notifier)


def attached() -> AbstractAsyncContextManager[Subject]:
    return at_gateway(attached_notifier)


@pytest.fixture(
    params=[memory, apigw, gateway, attached], ids=["memory", "apigw", "gateway", "attached"]
)
def subject(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Subject]:
    made: AbstractAsyncContextManager[Subject] = request.param()
    return made


@pytest.mark.parametrize("text", ["{}", "\N{SNOWMAN} \u00e9", "x" * LIMIT], ids=len)
async def test_a_frame_arrives_as_it_is(
    subject: AbstractAsyncContextManager[Subject], text: str
) -> None:
    async with subject as at:
        await at.notifier.post(at.here, text.encode())
        assert await at.received() == text


async def test_frames_posted_one_after_the_other_keep_their_order(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        for number in range(20):
            await at.notifier.post(at.here, str(number).encode())
        assert [await at.received() for _ in range(20)] == [str(n) for n in range(20)]


async def test_a_frame_to_several_reaches_those_that_are_there(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        failed = await at.notifier.post_all([at.here, at.gone, at.silent, at.there], b'"all"')
        kinds = {connection: type(failure) for connection, failure in failed.items()}
        assert kinds == {at.gone: ConnectionGone, at.silent: NotifierUnavailable}
        assert [await at.received(), await at.received_there()] == ['"all"', '"all"']
        assert await at.notifier.post_all([at.there], b'"one"', at_once=1) == {}
        assert await at.received_there() == '"one"'
        assert await at.notifier.post_all([], b"{}") == {}


async def test_a_frame_reaches_those_that_are_there_among_thousands(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        if isinstance(at.notifier, ApiGatewayNotifier):
            pytest.skip("API Gateway takes a request for each")
        left = [Connection(f"left-{number:012}", at.gone.endpoint) for number in range(10_000)]
        if isinstance(at.notifier, MemoryNotifier):
            at.notifier.gone.update(each.id for each in left)
        failed = await at.notifier.post_all([at.here, *left, at.there], b'"all"')
        assert {type(failure) for failure in failed.values()} == {ConnectionGone}
        assert failed.keys() == set(left)
        assert [await at.received(), await at.received_there()] == ['"all"', '"all"']


async def test_a_frame_over_the_limit_is_sent_to_none(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        failed = await at.notifier.post_all([at.here, at.there], b"x" * (LIMIT + 1))
        assert {type(failure) for failure in failed.values()} == {TooLarge}
        assert failed.keys() == {at.here, at.there}
        await at.notifier.post_all([at.here, at.there], b"x" * LIMIT)
        assert await at.received() == await at.received_there() == "x" * LIMIT


async def test_a_closed_socket_is_gone(subject: AbstractAsyncContextManager[Subject]) -> None:
    async with subject as at:
        with pytest.raises(ConnectionGone):
            await at.notifier.post(at.gone, b"{}")


async def test_a_socket_that_is_ended_is_gone(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        await at.notifier.end(at.here, SIGNED_OUT)
        with pytest.raises(ConnectionGone):
            await at.notifier.post(at.here, b"{}")
        with pytest.raises(ConnectionGone):
            await at.notifier.end(at.here)
        with pytest.raises(ConnectionGone):
            await at.notifier.end(at.gone)
        with pytest.raises(NotifierUnavailable):
            await at.notifier.end(at.silent)


async def test_an_endpoint_that_does_not_answer_is_unavailable(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        with pytest.raises(NotifierUnavailable):
            await at.notifier.post(at.silent, b"{}")
        await at.notifier.post(at.here, b"{}")
        assert await at.received() == "{}"


async def test_a_frame_over_the_limit_is_refused(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        with pytest.raises(TooLarge):
            await at.notifier.post(at.here, b"x" * (LIMIT + 1))


async def test_a_socket_of_the_own_process_needs_no_request() -> None:
    frames: list[tuple[str, bytes]] = []
    nobody = Connection("a", "http://127.0.0.1:1/local")  # nothing listens there
    notifier = GatewayNotifier(secret=secret, clock=SystemClock())
    with notifier.attached(nobody.endpoint, lambda id, frame: frames.append((id, frame))):
        await notifier.post(nobody, b"{}")
    assert frames == [("a", b"{}")]
    with pytest.raises(NotifierUnavailable):
        await notifier.post(nobody, b"{}")
    notifier.close()


async def test_a_frame_to_many_sockets_of_a_process_is_one_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    methods: list[str] = []
    request = PoolManager.request

    def counted(self: PoolManager, method: str, *args: object, **options: object) -> object:
        methods.append(method)
        return request(self, method, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(PoolManager, "request", counted)
    async with gateway_lab() as lab, AsyncExitStack() as stack:
        clients, connections = [], []
        for _ in range(5):
            clients.append(await stack.enter_async_context(connect(f"{lab.url}/local")))
            connections.append(Connection(lab.connection_id, lab.endpoint))
        with plain_notifier(lab) as notifier:
            assert await notifier.post_all(connections, b'"all"') == {}
        with anyio.fail_after(10):
            assert [await client.recv() for client in clients] == ['"all"'] * 5
    assert methods == ["POST"]
