"""The WebSocket API's Lambda functions: one event in, calls, one answer out.

The frame that answers a client's own is posted like every other, so the API needs no route
responses. Events: https://docs.aws.amazon.com/apigateway/latest/developerguide/
apigateway-websocket-api-mapping-template-reference.html
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from comfyq.domain.caller import DEFAULT_CALLER, Caller
from comfyq.domain.errors import DomainError, Forbidden, JobNotFound, NotFound
from comfyq.domain.job import JobId
from comfyq.edges.websocket.events import SocketEvent
from comfyq.edges.websocket.rendering import encode
from comfyq.ports.notifier import ConnectionGone, Notifier
from comfyq.services.notify.subscriptions import Subscriptions
from comfyq.wire.generate.frames import (
    JOB_ID,
    ErrorFrame,
    PingFrame,
    PongFrame,
    SubscribeFrame,
)

UNDERSTOOD = 'send {"action": "subscribe", "job_id": "…"} or {"action": "ping"}'

Answer = dict[str, Any]


class WebSocketHandler:
    """Answers $connect, $disconnect, subscribe and $default.

    ``scheme`` is that of the @connections API: ``https`` on AWS. ``public_url`` is what links
    begin with; where it is None they begin with the host that the client connected to.
    ``identify`` tells who connects from the $connect event.
    """

    def __init__(
        self,
        *,
        subscriptions: Subscriptions,
        notifier: Notifier,
        scheme: str = "https",
        public_url: str | None = None,
        identify: Callable[[Mapping[str, Any]], Caller] = lambda _: DEFAULT_CALLER,
    ) -> None:
        self._subscriptions = subscriptions
        self._notifier = notifier
        self._scheme = scheme
        self._public_url = public_url
        self._identify = identify
        self._routes: Mapping[str, Callable[[SocketEvent], Awaitable[Answer]]] = {
            "$connect": self._connect,
            "$disconnect": self._disconnect,
            "subscribe": self._subscribe,
        }

    async def handle(self, event: Mapping[str, Any], context: object = None) -> Answer:
        """Answer one event of the WebSocket API.

        Only a $connect's ``statusCode`` reaches the client: it accepts or refuses the handshake.
        """
        received = SocketEvent(event, scheme=self._scheme)
        route = self._routes.get(received.route, self._default)
        return await route(received)

    async def _connect(self, event: SocketEvent) -> Answer:
        base_url = event.base_url if self._public_url is None else self._public_url
        try:
            await self._subscriptions.connect(
                event.connection,
                self._identify(event.raw),
                base_url=base_url,
                job_id=_wanted(event.query.get("job_id")),
            )
        except DomainError as error:
            return _answer(_status(error)) | {"body": encode(_refusal(error)).decode()}
        return _answer(200)

    async def _disconnect(self, event: SocketEvent) -> Answer:
        await self._subscriptions.disconnect(event.connection.id)
        return _answer(200)

    async def _subscribe(self, event: SocketEvent) -> Answer:
        try:
            wish = SubscribeFrame.model_validate_json(event.body)
        except ValidationError as error:
            return await self._reply(event, _invalid(error))
        try:
            await self._subscriptions.subscribe(event.connection.id, JobId(wish.job_id))
        except DomainError as error:
            return await self._reply(event, _refusal(error, wish.job_id))
        return _answer(200)

    async def _default(self, event: SocketEvent) -> Answer:
        try:
            PingFrame.model_validate_json(event.body)
        except ValidationError:
            unknown = ErrorFrame(code="invalid-request", message=f"not understood; {UNDERSTOOD}")
            return await self._reply(event, unknown)
        return await self._reply(event, PongFrame())

    async def _reply(self, event: SocketEvent, frame: BaseModel) -> Answer:
        try:
            await self._notifier.post(event.connection, encode(frame))
        except (ConnectionGone, DomainError):
            return _answer(200)  # nobody to tell; running the function again would not help
        return _answer(200)


def _wanted(job_id: str | None) -> JobId | None:
    if job_id is not None and not re.fullmatch(JOB_ID, job_id):
        raise JobNotFound("there is no job with such an id")
    return None if job_id is None else JobId(job_id)


def _refusal(error: DomainError, job_id: str | None = None) -> ErrorFrame:
    return ErrorFrame(code=error.code, job_id=job_id, message=str(error))


def _invalid(error: ValidationError) -> ErrorFrame:
    """What is wrong with a frame, without repeating it."""
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'frame'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return ErrorFrame(code="invalid-request", message=f"{'; '.join(faults)}; {UNDERSTOOD}")


def _status(error: DomainError) -> int:
    match error:
        case NotFound():
            return 404
        case Forbidden():
            return 403
        case _:
            return 503


def _answer(status: int) -> Answer:
    return {"statusCode": status}
