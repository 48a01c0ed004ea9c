"""The WebSocket side of API Gateway, on one machine.

``ws://host/{stage}`` is what ``wss://api/stage`` is on AWS: the handler gets the same events, and
answers through the same @connections API, which each process serves on a loopback port of its
own. An event's ``domainName`` is that port, so a connection's record leads any poster to the
process that holds the socket.

``ws://host/ws/progress/{job_id}`` is a convenience over it that AWS does not have: it subscribes
by itself, shows frames in order, and ends with the job.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio
from anyio.abc import TaskGroup
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from comfyq.aio.logs import log
from comfyq.domain.token_bucket import TokenBucket
from comfyq.local.connections import GOING_AWAY, LOST, LiveConnection
from comfyq.local.conversation import Answer, Conversation, Handler, Task
from comfyq.local.gateway_events import EventMaker, Handshake, new_id
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.local.job_frames import JobFrames
from comfyq.local.limits.places import Places
from comfyq.local.loopback import serving
from comfyq.local.management import Held, Management, Secret
from comfyq.local.streams import LocalStreams
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection, Deliver
from comfyq.services.limits.memory_buckets import MemoryBuckets
from comfyq.telemetry.numbers import SOCKETS

Hold = Callable[[WebSocket], Awaitable[None]]

TOO_MANY = Response("there are too many sockets; close some", status_code=503)
TOO_OFTEN = "sockets are opened too often from this address; try again in {} s"


class Gateway:
    """Holds sockets while ``running``; ``routes`` belong into the main application's router.

    Whoever posts to its sockets, or to the ``streams`` beside them, has signed the request by
    ``secret``.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        clock: Clock,
        secret: Secret,
        stage: str = "local",
        settings: GatewaySettings | None = None,
        streams: LocalStreams | None = None,
    ) -> None:
        self._handler = handler
        self._clock = clock
        self._stage = stage
        self._settings = settings or GatewaySettings()
        self._connections: dict[str, LiveConnection] = {}
        self._streams = streams or LocalStreams(places=Places(), clock=clock)
        self._management = Management(
            self._find,
            stage=stage,
            max_message_bytes=self._settings.max_message_bytes,
            secret=secret,
            clock=clock,
        )
        self.deliver: Deliver = self._management.deliver  # to a socket of this process
        self._domain = ""
        self._tasks: TaskGroup | None = None
        self._taking = False
        self._together = asyncio.Semaphore(self._settings.messages_together)
        self._places = Places(
            total=self._settings.sockets, each_client=self._settings.sockets_per_client
        )
        self._handshakes = MemoryBuckets()  # by address: whoever shows no key has no other name
        self._of_address = TokenBucket(self._settings.handshakes_per_client)
        self.routes: Sequence[WebSocketRoute] = (
            WebSocketRoute(f"/{stage}", self._answer),
            WebSocketRoute("/ws/progress/{job_id}", self._answer),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Take sockets, and yield the base URL of this process's @connections API.

        At the end all sockets are closed with 1001 and their $disconnect is handled, as far as
        ``drain_s`` allows. A server that stops before closes them itself, as uvicorn does (1012).
        """
        async with serving(self._management.app) as self._domain:
            endpoint = f"http://{self._domain}/{self._stage}"
            async with anyio.create_task_group() as self._tasks:
                self._taking = True
                try:
                    with self._streams.reachable(endpoint):
                        yield endpoint
                finally:
                    await self._drain(self._tasks)
            self._tasks = None

    def any_open(self) -> bool:
        """Return whether this process holds a socket or stream."""
        return bool(self._connections or self._streams.live)

    def _find(self, connection_id: str) -> Held | None:
        return self._connections.get(connection_id) or self._streams.live.get(connection_id)

    async def _drain(self, tasks: TaskGroup) -> None:
        self._taking = False
        tasks.cancel_scope.deadline = anyio.current_time() + self._settings.drain_s
        tasks.cancel_scope.shield = True
        closing = list(self._connections.values())
        for live in closing:
            live.end(GOING_AWAY)
        for live in closing:
            await live.gone.wait()

    async def _answer(self, websocket: WebSocket) -> None:
        await self.place(websocket, self._hold)

    async def place(self, websocket: WebSocket, hold: Hold) -> None:
        """Give a socket to ``hold`` if there is a place for it, which it keeps until that ends."""
        if not self._taking:
            await websocket.send_denial_response(Response(status_code=503))
            return
        client = websocket.client.host if websocket.client else ""
        short = self._handshakes.take({client: self._of_address})
        if short is not None:
            await websocket.send_denial_response(_too_often(max(1, short[1])))
            return
        if not self._places.take(client):
            await websocket.send_denial_response(TOO_MANY)
            return
        try:
            await hold(websocket)
        finally:
            self._places.leave(client)

    @contextmanager
    def reachable(self, live: LiveConnection) -> Iterator[Connection]:
        """Within the context, what is posted to the connection comes to a socket."""
        self._connections[live.id] = live
        SOCKETS.add()
        try:
            yield Connection(live.id, f"http://{self._domain}/{self._stage}")
        finally:
            del self._connections[live.id]
            SOCKETS.add(by=-1)
            live.gone.set()

    async def _hold(self, websocket: WebSocket) -> None:
        job_id = websocket.path_params.get("job_id")
        live = LiveConnection(
            websocket,
            id=new_id(),
            clock=self._clock,
            settings=self._settings,
            following=None if job_id is None else JobFrames(job_id),
        )
        with self.reachable(live):
            await self._converse(live)

    async def _converse(self, live: LiveConnection) -> None:
        conversation = Conversation(
            live,
            self._events_of(live),
            handler=self._handler,
            start=self._start,
            clock=self._clock,
            settings=self._settings,
            together=self._together,
        )
        answer = await conversation.connect()
        if not 200 <= int(answer["statusCode"]) < 300:
            await live.websocket.send_denial_response(_denial(answer))
            return
        ending = LOST
        try:
            await live.accept()
            await conversation.subscribe()
            ending = await live.serve(conversation.receive)
        finally:
            conversation.disconnect(ending)

    def _events_of(self, live: LiveConnection) -> EventMaker:
        websocket = live.websocket
        handshake = Handshake(
            headers=websocket.headers,
            query=websocket.url.query,
            client_ip=websocket.client.host if websocket.client else "127.0.0.1",
            secure=websocket.url.scheme == "wss",
        )
        return EventMaker(
            connection_id=live.id,
            handshake=handshake,
            domain=self._domain,
            stage=self._stage,
            connected_at=live.connected_at,
        )

    def _start(self, function: Task) -> None:
        if self._tasks is None:
            log.warning("websocket.too_late")  # the gateway stopped while the socket still closed
            return
        self._tasks.start_soon(function)


def _too_often(wait_s: int) -> Response:
    headers = {"Retry-After": str(wait_s)}
    return Response(TOO_OFTEN.format(wait_s), status_code=429, headers=headers)


def _denial(answer: Answer) -> Response:
    return Response(
        answer.get("body", ""),
        int(answer["statusCode"]),
        headers=answer.get("headers"),
        media_type="application/json",
    )
