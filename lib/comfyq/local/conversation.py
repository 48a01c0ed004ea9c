"""Messages of one connection, as events for the Lambda functions behind the API."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from comfyq.aio.logs import log
from comfyq.edges.websocket.events import Turn
from comfyq.local.connections import Ending, LiveConnection
from comfyq.local.gateway_events import Event, EventMaker
from comfyq.local.gateway_settings import GatewaySettings
from comfyq.local.outbox import BufferFull
from comfyq.ports.clock import Clock

Answer = Mapping[str, Any]
Handler = Callable[[Mapping[str, Any], object], Awaitable[Answer]]
"""The Lambda functions behind the API: (event, context) -> {"statusCode": …}."""

Task = Callable[[], Coroutine[Any, Any, None]]
Start = Callable[[Task], None]
"""Runs a task beside the connection, which it may outlive."""

TOO_MANY = 429  # a message's status, if its sender sends too many

ROUTES = frozenset(
    {"subscribe", "unsubscribe"}
)  # by a message's "action"; every other goes to $default


class Conversation:
    """Invoke the handler for each message of a socket; as on AWS, in no particular order."""

    def __init__(
        self,
        live: LiveConnection,
        events: EventMaker,
        *,
        handler: Handler,
        start: Start,
        clock: Clock,
        settings: GatewaySettings,
        together: asyncio.Semaphore,
    ) -> None:
        """``together`` has the places for messages of all sockets in the handler."""
        self._live = live
        self._events = events
        self._handler = handler
        self._start = start
        self._clock = clock
        self._timeout_s = settings.handler_timeout_s
        self._refused_pause_s = settings.refused_pause_s
        self._slots = asyncio.Semaphore(settings.messages_at_once)
        self._together = together

    async def connect(self) -> Answer:
        """Return the handler's answer to the handshake; 502 if it fails."""
        following = self._live.following
        query = [("job_id", following.job_id)] if following else []
        answer = await self._invoke(self._events.connect(self._clock.now(), query=query))
        return {"statusCode": 502} if answer is None else answer

    async def receive(self, text: str) -> None:
        """Start handling a message; waits while too many messages of this socket, or of all, are
        handled. A socket waits for one place at a time, so that each has its turn."""
        await self._slots.acquire()
        await self._together.acquire()
        self._start(partial(self._handle, text))

    async def subscribe(self) -> None:
        """Subscribe to the socket's job on the client's behalf."""
        if self._live.following is not None:
            wish = {"action": "subscribe", "job_id": self._live.following.job_id}
            await self.receive(json.dumps(wish))

    def disconnect(self, ending: Ending) -> None:
        now = self._clock.now()
        event = self._events.disconnect(now, code=ending.code, reason=ending.reason)
        self._start(partial(self._tell, event))

    async def _tell(self, event: Event) -> None:
        await self._invoke(event)

    async def _handle(self, text: str) -> None:
        event = self._events.message(self._clock.now(), route=_route(text), body=text)
        place = _Place(self._together)
        try:
            try:
                answer = await self._invoke(event, Turn(place.pause))
            finally:
                place.leave()
            if answer is None:
                self._apologise(event["requestContext"]["requestId"])
            elif answer.get("statusCode") == TOO_MANY:
                await self._pause()
        finally:
            self._slots.release()

    async def _pause(self) -> None:
        """Wait for a while, or until the socket ends: who sends too much is read more slowly."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._refused_pause_s):
                await self._live.gone.wait()

    async def _invoke(self, event: Event, context: object = None) -> Answer | None:
        """Return the handler's answer; None if it raised or timed out."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._handler(event, context)
        except Exception:
            log.exception("websocket.handler_failed", route=event["requestContext"]["routeKey"])
            return None

    def _apologise(self, request_id: str) -> None:
        fault = {
            "message": "Internal server error",
            "connectionId": self._live.id,
            "requestId": request_id,
        }
        try:
            self._live.post(json.dumps(fault))
        except BufferFull:
            log.warning("websocket.buffer_full", connection=self._live.id)


class _Place:
    """A place in the handler, which its message has taken."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._is_taken = True

    async def pause(self, pause_s: float) -> None:
        """Wait without the place, and then for one."""
        self.leave()
        await asyncio.sleep(pause_s)
        await self._places.acquire()
        self._is_taken = True

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._places.release()


def _route(text: str) -> str:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return "$default"
    action = message.get("action") if isinstance(message, dict) else None
    return action if isinstance(action, str) and action in ROUTES else "$default"
