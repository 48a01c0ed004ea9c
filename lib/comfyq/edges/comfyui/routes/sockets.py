"""``/ws``, asked for as if it were no socket: what leads on."""

from http import HTTPStatus

from fastapi import HTTPException, Request, Response

from comfyq.domain.caller import Scope
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import streams_of
from comfyq.edges.comfyui.router import BASE, ComfyUIRouter

ELSEWHERE = (
    "API Gateway has no sockets at the address of an API: ask /history/{prompt_id} until it has "
    "the job, or follow it at comfyq's own WebSocket API"
)
NO_SOCKET = "this is the address of a socket: open it as ws:// or wss://, with ?clientId="

router = ComfyUIRouter[object]()


@router.get(f"{BASE}ws", dependencies=[needs(Scope.READ)])
async def no_socket(request: Request) -> Response:
    """501 where nothing holds sockets, as on AWS."""
    if await streams_of(request) is None:
        raise HTTPException(HTTPStatus.NOT_IMPLEMENTED, ELSEWHERE)
    raise HTTPException(HTTPStatus.BAD_REQUEST, NO_SOCKET)
