"""The events that API Gateway's WebSocket APIs hand to Lambda functions, made from sockets."""

import base64
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers

from comfyq.records.times import to_ms

Event = dict[str, Any]

API_ID = "local00000"
HOP_HEADERS = frozenset({"connection", "upgrade"})  # between client and gateway; never passed on
SPELLINGS = {"websocket": "WebSocket"}  # as API Gateway writes it: Sec-WebSocket-Key


@dataclass(frozen=True, slots=True)
class Handshake:
    """The data of a handshake that later events repeat."""

    headers: Headers
    query: str
    client_ip: str
    secure: bool

    @property
    def user_agent(self) -> str | None:
        return self.headers.get("user-agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMaker:
    """Makes the events of one connection."""

    connection_id: str
    handshake: Handshake
    domain: str  # host:port at which the connection's process serves @connections
    stage: str
    connected_at: datetime

    def connect(self, now: datetime, *, query: Sequence[tuple[str, str]] = ()) -> Event:
        """``query`` is added to that of the handshake."""
        headers = self._headers(now)
        event = {
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "requestContext": self._context("$connect", "CONNECT", now),
            "isBase64Encoded": False,
        }
        pairs = [*parse_qsl(self.handshake.query, keep_blank_values=True), *query]
        return event | _query_parameters(pairs)

    def message(self, now: datetime, *, route: str, body: str) -> Event:
        context = self._context(route, "MESSAGE", now, messageId=new_id())
        return {"requestContext": context, "body": body, "isBase64Encoded": False}

    def disconnect(self, now: datetime, *, code: int, reason: str) -> Event:
        host = self.handshake.headers.get("host", "")
        headers = {"Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
        ended = {"disconnectStatusCode": code, "disconnectReason": reason}
        return {
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "requestContext": self._context("$disconnect", "DISCONNECT", now, **ended),
            "isBase64Encoded": False,
        }

    def _context(self, route: str, kind: str, now: datetime, **more: Any) -> Event:
        request_id = new_id()
        identity = {"sourceIp": self.handshake.client_ip}
        if self.handshake.user_agent is not None:
            identity["userAgent"] = self.handshake.user_agent
        return {
            "routeKey": route,
            "eventType": kind,
            "extendedRequestId": request_id,
            "requestTime": f"{now:%d/%b/%Y:%H:%M:%S +0000}",
            "messageDirection": "IN",
            "stage": self.stage,
            "connectedAt": to_ms(self.connected_at),
            "requestTimeEpoch": to_ms(now),
            "identity": identity,
            "requestId": request_id,
            "domainName": self.domain,
            "connectionId": self.connection_id,
            "apiId": API_ID,
            **more,
        }

    def _headers(self, now: datetime) -> dict[str, list[str]]:
        headers: dict[str, list[str]] = {}
        for name, value in self.handshake.headers.items():
            if name not in HOP_HEADERS:
                headers.setdefault(_spelled(name), []).append(value)
        seconds = to_ms(now) // 1000
        proto, port = ("https", "443") if self.handshake.secure else ("http", "80")
        return headers | {
            "X-Amzn-Trace-Id": [f"Root=1-{seconds:08x}-{uuid.uuid4().hex[:24]}"],
            "X-Forwarded-For": [self.handshake.client_ip],
            "X-Forwarded-Port": [port],
            "X-Forwarded-Proto": [proto],
        }


def new_id() -> str:
    """An id of the shape of API Gateway's, with ``=`` at its end, as a URL must escape it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()


def _spelled(name: str) -> str:
    return "-".join(SPELLINGS.get(word, word.capitalize()) for word in name.split("-"))


def _query_parameters(pairs: Sequence[tuple[str, str]]) -> Event:
    if not pairs:
        return {}
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return {"queryStringParameters": dict(pairs), "multiValueQueryStringParameters": lists}
