"""``/ws`` of ComfyUI's API: a socket for each client that is told of whatever that submits.

It is one of the gateway's: frames of its jobs are posted to it as to every other, and become the
messages that ComfyUI would send. Of two sockets with one client id each is told everything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from comfyq.aio.logs import log
from comfyq.aio.tasks import beside
from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import ConnectionNotFound, DomainError, JobNotFound, Unauthenticated
from comfyq.domain.job import Job, JobId
from comfyq.edges.api.problems import encoded_problem, status_of
from comfyq.edges.comfyui.credentials import take_basic, take_token
from comfyq.edges.comfyui.events import ComfyUIEvents
from comfyq.edges.comfyui.jobs import client_label
from comfyq.edges.comfyui.prompts import MAX_CLIENT_CHARS
from comfyq.edges.comfyui.router import BASE
from comfyq.edges.comfyui.sent_pictures import SentServices
from comfyq.local.connections import CANNOT_FOLLOW, GOING_AWAY, LiveConnection
from comfyq.local.gateway import Gateway
from comfyq.local.gateway_events import new_id
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.ports.access.authenticator import Authenticator, Credentials
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection
from comfyq.services.files.uploads import Uploads
from comfyq.services.notify.client_sockets import ClientSockets
from comfyq.wire.comfyui.messages import FLAGS, METADATA, message, wants_metadata
from comfyq.wire.problems import Problem, challenge

# Until it is looked again which jobs of a client there are. The first time is for an index that
# lags; the later ones keep the socket from being idle, too: ComfyUI closes none.
LOOKS_S = (2.0, 30.0)
YES = ("1", "true")  # of a switch in the query


class SocketServices(SentServices, Protocol):
    """The services that sockets call."""

    @property
    def authenticator(self) -> Authenticator: ...

    @property
    def client_sockets(self) -> ClientSockets: ...

    @property
    def uploads(self) -> Uploads: ...


class ComfyUISocket(LiveConnection):
    """A socket whose frames become messages of ComfyUI's."""

    def __init__(
        self,
        websocket: WebSocket,
        *,
        clock: Clock,
        settings: GatewaySettings,
        events: ComfyUIEvents,
    ) -> None:
        super().__init__(websocket, id=new_id(), clock=clock, settings=settings)
        self.events = events

    async def tell(self, *messages: str | bytes) -> None:
        """Send messages, unless the socket has ended."""
        for each in messages:
            if self.open and not await self._send(each):
                self.end(GOING_AWAY)

    async def _show(self, frame: str) -> None:
        try:
            told = await self.events.of(frame)
        except DomainError as away:
            log.warning("client_not_told", reason=str(away))
            self.end(CANNOT_FOLLOW)  # its client comes again, and is told how its jobs are then
            return
        await self.tell(*told)


class ComfyUISockets:
    """Answers at ``routes``, which belong into the main application's router."""

    def __init__(
        self,
        services: SocketServices,
        gateway: Gateway,
        *,
        clock: Clock,
        settings: GatewaySettings,
        public_url: str | None,
        looks_s: tuple[float, float] = LOOKS_S,
    ) -> None:
        self._services = services
        self._gateway = gateway
        self._clock = clock
        self._settings = settings
        self._public_url = public_url
        self._looks_s = looks_s
        self.routes: Sequence[WebSocketRoute] = (WebSocketRoute(f"{BASE}ws", self._answer),)

    async def _answer(self, websocket: WebSocket) -> None:
        take_token(websocket.scope)
        take_basic(websocket.scope)
        await self._gateway.place(websocket, self._admit)

    async def _admit(self, websocket: WebSocket) -> None:
        try:
            credentials = Credentials(websocket.headers, websocket.query_params)
            caller = await self._services.authenticator.of_socket(credentials)
            caller.require(Scope.READ)
            await self._hold(websocket, caller)
        except DomainError as refused:
            await websocket.send_denial_response(_denial(refused, websocket.scope["path"]))

    async def _hold(self, websocket: WebSocket, caller: Caller) -> None:
        query = websocket.query_params
        client = query.get("clientId", "")[:MAX_CLIENT_CHARS] or uuid4().hex
        base_url = (self._public_url or str(websocket.base_url)).replace("ws", "http", 1)
        events = ComfyUIEvents(
            self._services, caller, self._clock.now, previews=query.get("previews") in YES
        )
        live = ComfyUISocket(websocket, clock=self._clock, settings=self._settings, events=events)
        with self._gateway.reachable(live) as connection:
            held = _Held(live, connection, caller, client, base_url.rstrip("/"))
            try:
                await self._store(held)
                followed = await self._expected(held, {})
                await live.accept()
                await live.tell(events.status(sid=client))
                async with beside(self._follow_for_ever(held, followed)):
                    await live.serve(self._reader(held))
            finally:
                await self._services.client_sockets.closed(connection, caller, client)

    async def _store(self, held: "_Held") -> None:
        await self._services.client_sockets.opened(
            held.connection,
            held.caller,
            held.client,
            base_url=held.base_url,
            previews=held.live.events.previews,
        )

    async def _expected(self, held: "_Held", known: Mapping[JobId, Job]) -> Mapping[JobId, Job]:
        """Return the jobs of a client that it is to be told of, and are not ``known``."""
        label = client_label(held.client)
        jobs = await self._services.client_sockets.listed(held.caller, label, known=known)
        held.live.events.expect(jobs)
        return {job.id: job for job in jobs}

    async def _follow_for_ever(self, held: "_Held", first: Mapping[JobId, Job]) -> None:
        """Let a socket follow the jobs of its client, and look again for others now and then."""
        await self._follow(held, first)
        known, (first_s, then_s) = dict(first), self._looks_s
        pause_s = first_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                new = await self._expected(held, known)
                await self._follow(held, new)
                known.update(new)
            except DomainError as away:
                log.warning("client_not_told", reason=str(away))
            if pause_s == then_s:
                await held.live.tell(held.live.events.status())
            pause_s = then_s

    async def _follow(self, held: "_Held", jobs: Mapping[JobId, Job]) -> None:
        for job in jobs.values():
            try:
                await self._services.client_sockets.follow(held.connection, job)
            except JobNotFound:
                held.live.events.forget(job)
            except (ConnectionNotFound, Unauthenticated):
                held.live.end(GOING_AWAY)
            except DomainError as away:
                log.warning("client_not_told", job=job.id, reason=str(away))
                held.live.end(CANNOT_FOLLOW)

    def _reader(self, held: "_Held") -> Callable[[str], Awaitable[None]]:
        async def read(text: str) -> None:
            wants = wants_metadata(text)
            if wants is None:
                return
            events = held.live.events
            is_news = wants and not events.previews
            events.previews, events.has_metadata = events.previews or wants, wants
            if is_news:
                with suppress(DomainError):  # previews are no more than that
                    await self._store(held)
            flags = {METADATA: True, "max_upload_size": self._services.uploads.max_bytes}
            await held.live.tell(message(FLAGS, **flags))

        return read


@dataclass(frozen=True, slots=True)
class _Held:
    """A socket, and whose it is."""

    live: ComfyUISocket
    connection: Connection
    caller: Caller
    client: str
    base_url: str


def _denial(refused: DomainError, path: str) -> Response:
    status = status_of(type(refused))
    problem = Problem(
        type=f"/problems/{refused.code}",
        title=status.phrase,
        status=status,
        detail=str(refused),
        instance=path,
        code=refused.code,
    )
    encoded = encoded_problem(problem, path=path)
    headers = None
    if isinstance(refused, Unauthenticated):
        headers = {"WWW-Authenticate": challenge(refused)}
    return Response(encoded.body, encoded.status, headers, encoded.media_type)
