"""The WebSocket API's Lambda functions: one event in, calls, one answer out.

The frame that answers a client's own is posted like every other, so the API needs no route
responses. Events: https://docs.aws.amazon.com/apigateway/latest/developerguide/
apigateway-websocket-api-mapping-template-reference.html
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError

from comfyq.aio.logs import log
from comfyq.domain.caller import Scope
from comfyq.domain.errors import (
    DomainError,
    Forbidden,
    JobNotFound,
    NotFound,
    NotifierUnavailable,
    RateLimited,
    Unauthenticated,
)
from comfyq.domain.job import JobId
from comfyq.domain.job.client_text import for_clients
from comfyq.domain.submission.batch import BatchId
from comfyq.edges.websocket.events import SocketEvent
from comfyq.edges.websocket.frame_kinds import CONNECT_SCOPE, FRAMES, PING, ClientFrame, FrameKind
from comfyq.edges.websocket.rendering import encode
from comfyq.ports.access.authenticator import Authenticator, Credentials
from comfyq.ports.notifier import TRY_AGAIN, ConnectionGone, Notifier
from comfyq.services.limits.connect_limit import ConnectLimit
from comfyq.services.limits.frame_limit import BATCH_JOBS, FrameLimit
from comfyq.services.notify.subscriptions import Connected, Subscriptions
from comfyq.wire.generate.frames import (
    JOB_ID,
    ErrorFrame,
    PingFrame,
    PongFrame,
    SubscribeFrame,
    UnsubscribedFrame,
    UnsubscribeFrame,
)
from comfyq.wire.problems import challenge

UNDERSTOOD = (
    'send {"action": "subscribe", "job_id": "…"}, {"action": "unsubscribe", "job_id": "…"} or '
    '{"action": "ping"}'
)
MAX_FAULTS = 5  # of a frame that are told
YES = ("1", "true")  # of a switch in the query
PAUSES_S = (0.2, 1.0)  # before a first frame that could not be posted is tried again

Answer = dict[str, Any]


class WebSocketHandler:
    """Answer $connect, $disconnect, and the frames that clients send.

    ``scheme`` is that of the @connections API: ``https`` on AWS. ``public_url`` is the base of
    links; None: the host that the client connected to.
    """

    def __init__(
        self,
        *,
        subscriptions: Subscriptions,
        notifier: Notifier,
        authenticator: Authenticator,
        scheme: str = "https",
        public_url: str | None = None,
        limit: FrameLimit | None = None,
        connects: ConnectLimit | None = None,
    ) -> None:
        self._subscriptions = subscriptions
        self._notifier = notifier
        self._authenticator = authenticator
        self._scheme = scheme
        self._public_url = public_url
        self._limit = limit or FrameLimit()
        self._connects = connects or ConnectLimit()

    async def handle(self, event: Mapping[str, Any], context: object = None) -> Answer:
        """Answer one event of the WebSocket API.

        Only a $connect's ``statusCode`` reaches the client: it accepts or refuses the handshake.
        That of a frame is 429 if its sender sends too many.
        """
        received = SocketEvent(event, scheme=self._scheme, context=context)
        match received.route:
            case "$connect":
                return await self._connect(received)
            case "$disconnect":
                self._limit.forget(received.connection.id)
                await self._subscriptions.disconnect(received.connection.id)
            case route:
                return _answer(await self._receive(received, FRAMES.get(route, PING)))
        return _answer(200)

    async def _connect(self, event: SocketEvent) -> Answer:
        base_url = event.base_url if self._public_url is None else self._public_url
        try:
            caller = await self._authenticator.of_socket(Credentials(event.headers, event.query))
            caller.require(CONNECT_SCOPE)
            self._connects.take_socket(caller)
            await self._subscriptions.connect(
                event.connection,
                caller,
                base_url=base_url,
                job_id=_wanted(event.query.get("job_id")),
                previews=event.query.get("previews") in YES,
            )
        except DomainError as error:
            return _denied(error)
        self._limit.belongs(event.connection.id, caller)
        return _answer(200)

    async def _receive(self, event: SocketEvent, kind: FrameKind) -> int:
        """Carry out a client's frame, and return a status; an error is posted to the client."""
        frame = _parsed(event, kind)
        try:
            self._limit.take(event.connection.id, _cost(frame))
        except RateLimited as error:
            await self._reply(event, _refusal_of(frame, error))
            return 429
        if isinstance(frame, ErrorFrame):
            await self._reply(event, frame)
            return 200
        try:
            sender = None if kind.scope is None else await self._sender(event, kind.scope)
            await self._obey(event, frame, sender)
        except DomainError as error:
            await self._reply(event, _refusal_of(frame, error))
        return 200

    async def _sender(self, event: SocketEvent, scope: Scope) -> Connected:
        """Return who sent a frame, if it has the scope that the frame needs."""
        connected = await self._subscriptions.connected(event.connection.id)
        self._limit.belongs(event.connection.id, connected.caller)
        connected.caller.require(scope)
        return connected

    async def _obey(self, event: SocketEvent, frame: ClientFrame, sender: Connected | None) -> None:
        match frame:
            case PingFrame():
                await self._reply(event, PongFrame())
            case SubscribeFrame():
                assert sender is not None, "the frame needs a scope"
                await self._subscribe(event, frame, sender)
            case UnsubscribeFrame():
                assert sender is not None, "the frame needs a scope"
                await self._subscriptions.unsubscribe(sender, [*map(JobId, frame.named)])
                if frame.batch_id is not None:
                    await self._subscriptions.unsubscribe_batch(sender, BatchId(frame.batch_id))
                ended = UnsubscribedFrame(job_ids=[*frame.named], batch_id=frame.batch_id)
                await self._reply(event, ended)

    async def _subscribe(
        self, event: SocketEvent, frame: SubscribeFrame, sender: Connected
    ) -> None:
        """Make the sender a follower of what a frame names; tell it what it cannot follow.

        If its first frames cannot be posted, its socket is ended: what has ended is never told
        again, so the client would wait for ever. One whose socket ends comes again. Meanwhile
        others have the place: a client that does not read must not keep it.
        """
        if frame.previews:
            sender = sender.with_previews
        untold = await self._followed(event, frame, sender, frame.named)
        for pause_s in PAUSES_S:
            if untold:
                await event.pause(pause_s)
                untold = await self._followed(event, frame, sender, untold)
        if untold:
            log.warning("first_frames_unsent", connection=event.connection.id, count=len(untold))
            with suppress(ConnectionGone, DomainError):
                await self._notifier.end(event.connection, TRY_AGAIN)

    async def _followed(
        self, event: SocketEvent, frame: SubscribeFrame, sender: Connected, job_ids: Iterable[str]
    ) -> Sequence[str]:
        """Follow these jobs, or the batch that the frame names; return the ids of which nothing
        could be posted, neither the first frame nor why there is none."""
        if frame.batch_id is not None:
            batch_id, since = BatchId(frame.batch_id), frame.seen(frame.batch_id)
            is_told = await self._subscriptions.subscribe_batch(sender, batch_id, since=since)
            return [] if is_told else [batch_id]
        wishes = {JobId(each): frame.seen(each) for each in job_ids}
        refused = await self._subscriptions.subscribe_all(sender, wishes)
        untold = [each for each, why in refused.items() if isinstance(why, NotifierUnavailable)]
        for job_id in refused.keys() - set(untold):
            if not await self._reply(event, _refusal(refused[job_id], job_id)):
                untold.append(job_id)
        return untold

    async def _reply(self, event: SocketEvent, frame: BaseModel) -> bool:
        """Post a frame to its sender; False: that is not possible now."""
        with suppress(ConnectionGone):
            try:
                await self._notifier.post(event.connection, encode(frame))
            except DomainError:
                return False
        return True


def _wanted(job_id: str | None) -> JobId | None:
    if job_id is not None and not re.fullmatch(JOB_ID, job_id):
        raise JobNotFound("there is no job with such an id")
    return None if job_id is None else JobId(job_id)


def _refusal(
    error: DomainError, job_id: str | None = None, batch_id: str | None = None
) -> ErrorFrame:
    message = for_clients(str(error))
    return ErrorFrame(code=error.code, job_id=job_id, batch_id=batch_id, message=message)


def _refusal_of(frame: ClientFrame | ErrorFrame, error: DomainError) -> ErrorFrame:
    """Refuse a frame as a whole, with all that it names."""
    told = _refusal(error)
    if isinstance(frame, SubscribeFrame | UnsubscribeFrame):
        named = {"job_id": frame.job_id, "job_ids": frame.job_ids, "batch_id": frame.batch_id}
        told = told.model_copy(update=named)
    if isinstance(error, RateLimited):
        told.retry_after_s = error.retry_after_s
    return told


def _cost(frame: ClientFrame | ErrorFrame) -> int:
    """Return how many jobs a frame counts as, of which each has its price; one that names none is
    still a frame."""
    if isinstance(frame, SubscribeFrame | UnsubscribeFrame):
        return len(frame.named) if frame.batch_id is None else BATCH_JOBS
    return 1


def _parsed(event: SocketEvent, kind: FrameKind) -> ClientFrame | ErrorFrame:
    """Return a client's frame, or what is wrong with it."""
    try:
        return kind.shape.model_validate_json(event.body)
    except ValidationError as error:
        return _invalid(error, kind)


def _invalid(error: ValidationError, kind: FrameKind) -> ErrorFrame:
    """Say what is wrong with a frame, without repeating it."""
    if kind is PING:  # the default kind: the client may have meant another one
        return ErrorFrame(code="invalid-request", message=f"not understood; {UNDERSTOOD}")
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'frame'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)[
            :MAX_FAULTS
        ]
    ]
    return ErrorFrame(code="invalid-request", message=f"{'; '.join(faults)}; {UNDERSTOOD}")


def _denied(error: DomainError) -> Answer:
    """Answer a handshake that is refused; API Gateway passes only the status on."""
    answer = _answer(_status(error)) | {"body": encode(_refusal(error)).decode()}
    match error:
        case Unauthenticated():
            answer["headers"] = {"WWW-Authenticate": challenge(error)}
        case RateLimited():
            answer["headers"] = {"Retry-After": str(error.retry_after_s)}
        case _:
            pass
    return answer


def _status(error: DomainError) -> int:
    match error:
        case NotFound():
            return 404
        case Unauthenticated():
            return 401
        case Forbidden():
            return 403
        case RateLimited():
            return 429
        case _:
            return 503


def _answer(status: int) -> Answer:
    return {"statusCode": status}
