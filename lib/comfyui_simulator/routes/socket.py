"""The WebSocket."""

import uuid

from aiohttp import WSMsgType, web

from comfyui_simulator import messages
from comfyui_simulator.messages import Event
from comfyui_simulator.office import Office
from comfyui_simulator.sockets import Socket, flags_in


def routes(office: Office) -> list[web.RouteDef]:
    async def connect(request: web.Request) -> web.WebSocketResponse:
        return await follow(request, office)

    return [web.get("/ws", connect)]


async def follow(request: web.Request, office: Office) -> web.WebSocketResponse:
    """GET /ws?clientId=...: events until the client leaves."""
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    sid = request.query.get("clientId") or uuid.uuid4().hex
    office.hub.open(sid, Socket(answer, request.transport))
    try:
        await _greet(sid, office)
        await _listen(sid, answer, office)
    finally:
        office.hub.forget(sid)
    return answer


async def _greet(sid: str, office: Office) -> None:
    await office.hub.greet(sid, messages.status(office.queue.remaining, sid))
    node_id = office.executor.node_at_work_for(sid)
    if node_id is not None:
        await office.hub.greet(sid, messages.still_executing(node_id))


async def _listen(sid: str, answer: web.WebSocketResponse, office: Office) -> None:
    is_first = True
    async for message in answer:
        if message.type is not WSMsgType.TEXT:
            continue
        flags = flags_in(message.data) if is_first else None
        is_first = False
        if flags is not None:
            office.hub.announce(sid, flags)
            await office.hub.greet(sid, Event("feature_flags", office.settings.wire.features))
