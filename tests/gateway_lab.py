"""A gateway under a real server, with everything behind it, on free ports of this machine."""

import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import boto3
import uvicorn
import websockets
from botocore.config import Config
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection

from comfyq.adapters.apigw.client import management_client
from comfyq.adapters.apigw.notifier import ApiGatewayNotifier
from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.errors import NotifierUnavailable
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.local.gateway import Gateway
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.local.socket_protocol import BoundedSocket
from comfyq.ports.notifier import Deliver, Notifier
from comfyq.services.limits.frame_limit import FrameLimit
from tests.followed_jobs import FollowedJobs

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

Event = Mapping[str, Any]
Frame = dict[str, Any]

SECRET = "a secret of this lab"
SESSION = boto3.Session(
    aws_access_key_id="local", aws_secret_access_key=SECRET, region_name="us-east-1"
)


async def secret() -> bytes:
    return SECRET.encode()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    config = uvicorn.Config(
        app, lifespan="off", ws=BoundedSocket, log_config=None, timeout_graceful_shutdown=2
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stopped = anyio.Event()

        async def serve() -> None:
            try:
                await server.serve([listener])
            finally:
                stopped.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            try:
                yield f"127.0.0.1:{port}"
            finally:  # also where the test has failed: a server that is canceled closes nothing
                server.should_exit = True
                with anyio.CancelScope(shield=True):
                    await stopped.wait()
        with anyio.move_on_after(2):  # a closed connection says so in a later turn of the loop
            while server.server_state.connections:  # noqa: ASYNC110 - it has no event
                await anyio.sleep(0.001)
        for connection in [*server.server_state.connections]:
            connection.transport.abort()
        await anyio.lowlevel.checkpoint()  # an aborted connection closes in the next turn


@dataclass
class GatewayLab:
    """``before`` runs ahead of the handler, at each event; it may raise."""

    world: FollowedJobs
    handler: WebSocketHandler
    before: Callable[[Event], Any] | None = None
    events: list[Event] = field(default_factory=list)
    answered: list[Event] = field(default_factory=list)
    host: str = ""
    endpoint: str = ""
    deliver: Deliver | None = None  # to a socket of the gateway's, without a request
    gateway: Gateway | None = None
    secret_away: bool = False  # where the gateway reads it
    more: Mapping[str, Any] = field(default_factory=dict)  # that the handler's answers have

    async def handle(self, event: Event, context: object) -> Mapping[str, Any]:
        self.events.append(event)
        if self.before is not None:
            await self.before(event)
        answer = await self.handler.handle(event, context)
        self.answered.append(event)
        return {**answer, **self.more}

    async def own_secret(self) -> bytes:
        if self.secret_away:
            raise NotifierUnavailable("it was told to be away")
        return await secret()

    @property
    def url(self) -> str:
        return f"ws://{self.host}"

    @property
    def connection_id(self) -> str:
        """Of the connection that came last."""
        return str(self.of_kind("CONNECT")[-1]["requestContext"]["connectionId"])

    def of_kind(self, kind: str) -> list[Event]:
        return [e for e in self.events if e["requestContext"]["eventType"] == kind]

    @cached_property
    def api(self) -> "ApiGatewayManagementApiClient":
        """A client that tries once, so that a test sees every refusal."""
        config = Config(retries={"total_max_attempts": 1})
        return SESSION.client("apigatewaymanagementapi", endpoint_url=self.endpoint, config=config)


@contextmanager
def real_notifier() -> Generator[ApiGatewayNotifier, None, None]:
    notifier = ApiGatewayNotifier(
        client_of=partial(management_client, SESSION), local_secret=secret
    )
    with closing(notifier):
        yield notifier


def new_handler(
    world: FollowedJobs, notifier: Notifier, *, limit: FrameLimit | None = None
) -> WebSocketHandler:
    return WebSocketHandler(
        subscriptions=world.subscriptions,
        notifier=notifier,
        authenticator=LocalOwner(),
        scheme="http",
        limit=limit,
    )


@asynccontextmanager
async def gateway_lab(
    settings: GatewaySettings | None = None, *, world: FollowedJobs | None = None
) -> AsyncIterator[GatewayLab]:
    """Stops the gateway before its server, as ``1001`` wants it."""
    with real_notifier() as notifier:
        world = world or FollowedJobs(notifier)
        lab = GatewayLab(world, new_handler(world, notifier))
        gateway = Gateway(lab.handle, clock=SystemClock(), secret=lab.own_secret, settings=settings)
        app = Starlette(routes=list(gateway.routes))
        async with served(app) as lab.host, gateway.running() as lab.endpoint:
            lab.deliver = gateway.deliver
            lab.gateway = gateway
            with closing(lab.api):
                yield lab


async def eventually(holds: Callable[[], bool], *, within_s: float = 10) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        await anyio.sleep(0.01)


def connect(url: str) -> websockets.connect:
    return websockets.connect(url, proxy=None, compression=None, max_size=None)


async def received(client: ClientConnection) -> Frame:
    with anyio.fail_after(10):
        frame: Frame = json.loads(await client.recv())
    return frame


async def closed(client: ClientConnection) -> tuple[int, list[Frame]]:
    """The code that the socket is closed with, and what still came before."""
    frames: list[Frame] = []
    with anyio.fail_after(10):
        try:
            while True:
                frames.append(json.loads(await client.recv()))
        except websockets.ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd else 1006), frames
