"""The WebSocket."""

import uuid

from aiohttp import WSMsgType, web

from comfyui_simulator import messages
from comfyui_simulator.messages import Event
from comfyui_simulator.parts import Parts
from comfyui_simulator.sockets import Socket, flags_in


def routes(parts: Parts) -> list[web.RouteDef]:
    async def connect(request: web.Request) -> web.WebSocketResponse:
        return await follow(request, parts)

    return [web.get("/ws", connect)]


async def follow(request: web.Request, parts: Parts) -> web.WebSocketResponse:
    """GET /ws?clientId=...: events until the client leaves."""
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    sid = request.query.get("clientId") or uuid.uuid4().hex
    parts.hub.open(sid, Socket(answer, request.transport))
    try:
        await _greet(sid, parts)
        await _listen(sid, answer, parts)
    finally:
        parts.hub.forget(sid)
    return answer


async def _greet(sid: str, parts: Parts) -> None:
    await parts.hub.greet(sid, messages.status(parts.queue.remaining, sid))
    node_id = parts.executor.node_at_work_for(sid)
    if node_id is not None:
        await parts.hub.greet(sid, messages.still_executing(node_id))


async def _listen(sid: str, answer: web.WebSocketResponse, parts: Parts) -> None:
    is_first = True
    async for message in answer:
        if message.type is not WSMsgType.TEXT:
            continue
        flags = flags_in(message.data) if is_first else None
        is_first = False
        if flags is not None:
            parts.hub.announce(sid, flags)
            await parts.hub.greet(sid, Event("feature_flags", parts.settings.wire.features))
