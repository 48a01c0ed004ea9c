"""The contract of notifiers, at a real socket where there is one."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass

import anyio
import pytest
import websockets

from comfyq.adapters.gateway.notifier import GatewayNotifier
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.errors import NotifierUnavailable, TooLarge
from comfyq.ports.notifier import Connection, ConnectionGone, Notifier
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.gateway_lab import GatewayLab, gateway_lab, real_notifier, secret

pytestmark = pytest.mark.anyio

LIMIT = 128 * 1024


@dataclass
class Subject:
    notifier: Notifier
    here: Connection  # open
    gone: Connection
    silent: Connection  # behind an endpoint that does not work
    received: Callable[[], Awaitable[str]]  # the next frame at ``here``


@asynccontextmanager
async def memory() -> AsyncIterator[Subject]:
    notifier = MemoryNotifier()
    notifier.gone.add("gone")
    notifier.unavailable.add("http://silent/local")
    here = Connection("here", "http://h/local")
    gone = Connection("gone", "http://h/local")

    async def received() -> str:
        return notifier.posts.pop(0)[1].decode()

    yield Subject(notifier, here, gone, Connection("here", "http://silent/local"), received)


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
    async with (
        gateway_lab() as lab,
        websockets.connect(f"{lab.url}/local", proxy=None, max_size=None) as client,
    ):
        here = Connection(lab.connection_id, lab.endpoint)
        gone = Connection("b25jZSBoZXJl=", lab.endpoint)
        silent = Connection(here.id, f"http://127.0.0.1:{port}/local")

        async def received() -> str:
            with anyio.fail_after(10):
                return str(await client.recv())

        with made(lab) as notifier:
            yield Subject(notifier, here, gone, silent, received)


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


async def test_a_closed_socket_is_gone(subject: AbstractAsyncContextManager[Subject]) -> None:
    async with subject as at:
        with pytest.raises(ConnectionGone):
            await at.notifier.post(at.gone, b"{}")


async def test_a_socket_that_is_ended_is_gone(
    subject: AbstractAsyncContextManager[Subject],
) -> None:
    async with subject as at:
        await at.notifier.end(at.here)
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
