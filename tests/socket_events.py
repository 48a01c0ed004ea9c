"""Events of API Gateway's WebSocket API, as short as the handler reads them."""

import json
from typing import Any

from comfyq.edges.websocket.handler import WebSocketHandler

ENDPOINT = "https://sockets.example/live"


def event(route: str, socket: str, **more: Any) -> dict[str, Any]:
    domain, stage = ENDPOINT.removeprefix("https://").split("/")
    context = {"routeKey": route, "connectionId": socket, "domainName": domain, "stage": stage}
    return {"requestContext": context, **more}


async def connected(
    handler: WebSocketHandler, socket: str, key: str | None, query: dict[str, str] | None = None
) -> tuple[int, str]:
    """Open a socket; return the handshake's status and the code of a refusal."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    opening = event("$connect", socket, headers=headers, queryStringParameters=query)
    answer = await handler.handle(opening)
    return answer["statusCode"], json.loads(answer.get("body", "{}")).get("code", "")


async def subscribed(handler: WebSocketHandler, socket: str, job_id: str) -> None:
    body = json.dumps({"action": "subscribe", "job_id": job_id})
    await handler.handle(event("subscribe", socket, body=body))
