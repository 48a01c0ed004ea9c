"""Events of API Gateway's WebSocket API, as short as the handler reads them."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

ENDPOINT = "https://sockets.example/live"


class Handler(Protocol):
    """Takes events of the WebSocket API."""

    async def handle(self, event: Mapping[str, Any]) -> dict[str, Any]: ...


def event(route: str, socket: str, **more: Any) -> dict[str, Any]:
    domain, stage = ENDPOINT.removeprefix("https://").split("/")
    context = {"routeKey": route, "connectionId": socket, "domainName": domain, "stage": stage}
    return {"requestContext": context, **more}


def handshake(socket: str, key: str | None, query: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the event of a socket that a client opens."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return event("$connect", socket, headers=headers, queryStringParameters=query)


async def connected(
    handler: Handler, socket: str, key: str | None, query: dict[str, str] | None = None
) -> tuple[int, str]:
    """Open a socket; return the handshake's status and the code of a refusal."""
    answer = await handler.handle(handshake(socket, key, query))
    return answer["statusCode"], json.loads(answer.get("body", "{}")).get("code", "")


async def subscribed(handler: Handler, socket: str, job_id: str) -> None:
    body = json.dumps({"action": "subscribe", "job_id": job_id})
    await handler.handle(event("subscribe", socket, body=body))
