"""API Gateway's WebSocket events, as far as we read them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfyq.ports.notifier import Connection

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The context of an event that is handled in a place which others wait for."""

    pause: Pause  # lets others have the place meanwhile


class SocketEvent:
    """One event. Only that of $connect has headers and a query string."""

    def __init__(self, raw: Mapping[str, Any], *, scheme: str, context: object = None) -> None:
        self.raw = raw
        self.pause: Pause = context.pause if isinstance(context, Turn) else asyncio.sleep
        self._context: Mapping[str, Any] = raw["requestContext"]
        self._scheme = scheme

    @property
    def route(self) -> str:
        return str(self._context["routeKey"])

    @property
    def connection(self) -> Connection:
        """The socket, and the base URL of the @connections API that reaches it."""
        endpoint = f"{self._scheme}://{self._context['domainName']}/{self._context['stage']}"
        return Connection(str(self._context["connectionId"]), endpoint)

    @property
    def body(self) -> str:
        return self.raw.get("body") or ""

    @property
    def query(self) -> Mapping[str, str]:
        return self.raw.get("queryStringParameters") or {}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by their names in lower case."""
        return {name.lower(): value for name, value in (self.raw.get("headers") or {}).items()}

    @property
    def base_url(self) -> str:
        """Return the HTTP base URL under which the client reached us; empty if it is unknown."""
        headers = self.headers
        host = headers.get("host")
        scheme = headers.get("x-forwarded-proto", self._scheme)
        return f"{scheme}://{host}" if host else ""
