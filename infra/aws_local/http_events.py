"""API Gateway's HTTP API: requests as events of payload format 2.0, and answers from Lambda.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

TEXT = ("text/", "application/json", "application/javascript", "application/xml")
TEXT_SUFFIXES = ("+json", "+xml")
ACCOUNT = "000000000000"


def event_of(request: Request, body: bytes, *, api_id: str) -> dict[str, Any]:
    """The event of a request to the ``$default`` route of the ``$default`` stage."""
    client_ip = request.client.host if request.client else "127.0.0.1"
    path = request.scope["raw_path"].decode("ascii")
    host = request.headers.get("host", "")
    now_s = time.time()  # noqa: TID251 - API Gateway's clock is none of ours
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.url.query,
        "headers": _headers(request, client_ip),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": api_id,
            "domainName": host,
            "domainPrefix": host.split(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": client_ip,
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex[:15] + "=",
            "routeKey": "$default",
            "stage": "$default",
            "time": f"{datetime.fromtimestamp(now_s, UTC):%d/%b/%Y:%H:%M:%S +0000}",
            "timeEpoch": int(now_s * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies := request.headers.get("cookie"):
        event["cookies"] = [each.strip() for each in cookies.split(";")]
    if query := request.query_params.multi_items():
        event["queryStringParameters"] = _joined(query)
    return event | _body(request.headers.get("content-type", ""), body)


def response_of(answer: Any) -> Response:
    """An answer without a status is a body of JSON, as API Gateway has it."""
    if not isinstance(answer, Mapping) or "statusCode" not in answer:
        return Response(json.dumps(answer), media_type="application/json")
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else str(body).encode()
    response = Response(content, int(answer["statusCode"]))
    for name, value in (answer.get("headers") or {}).items():
        response.headers[name] = str(value)
    for cookie in answer.get("cookies") or ():
        response.headers.append("set-cookie", cookie)
    return response


def _headers(request: Request, client_ip: str) -> dict[str, str]:
    """Names in lower case, values of one name joined; this gateway speaks HTTP, not HTTPS."""
    pairs = [(name, value) for name, value in request.headers.items() if name != "cookie"]
    return _joined(pairs) | {
        "x-amzn-trace-id": f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}",
        "x-forwarded-for": client_ip,
        "x-forwarded-port": str(request.url.port or 80),
        "x-forwarded-proto": request.url.scheme,
    }


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(content_type: str, body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith(TEXT) or kind.endswith(TEXT_SUFFIXES):
        return {"body": body.decode("utf-8", "replace")}
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
