"""What is observed of each request: its id, its lines in the log, its count and time, its span."""

import re
from contextlib import AbstractContextManager
from os import urandom
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comfyq.aio.logs import log_context
from comfyq.telemetry.metrics import OTHER
from comfyq.telemetry.numbers import HTTP_REQUESTS, HTTP_SECONDS
from comfyq.telemetry.tracing import NO_SPAN, Span, tracing

HEADER = "X-Request-Id"
PLACE = "comfyq.request_id"  # in the scope
WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,64}")
RAW_HEADER = HEADER.lower().encode()
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
NO_ROUTE = "none"
# Asked every few seconds, or by the dozen at a visit: files of the web page and the descriptions.
UNTRACED = ("/health", "/metrics", "/page/", "/docs", "/redoc", "/openapi.json", "/favicon.ico")
NO_ANSWER = 500  # of a defect, which is answered outside of this
EVENT_STREAM = b"text/event-stream"


def request_id_of(scope: Scope) -> str:
    """Return a request's id: the client's own if it is well-formed, else a new one, which stays."""
    known: str | None = scope.get(PLACE)
    if known is None:
        given = dict(scope["headers"]).get(RAW_HEADER, b"")
        known = given.decode() if WELL_FORMED.fullmatch(given) else urandom(16).hex()
        scope[PLACE] = known
    return known


class ObservedRequests:
    """Name each request in its answer and in its log lines, count it, and open its span."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)

        began, status, took_s = perf_counter(), NO_ANSWER, None

        async def named(message: Message) -> None:
            nonlocal status, took_s
            if message["type"] == "http.response.start":
                status = message["status"]
                if dict(message["headers"]).get(b"content-type", b"").startswith(EVENT_STREAM):
                    took_s = perf_counter() - began  # it lasts as long as the job
                if RAW_HEADER not in dict(message["headers"]):
                    message["headers"].append((RAW_HEADER, request_id.encode()))
            await send(message)

        with log_context(request=request_id), _span(scope) as span:
            try:
                await self._app(scope, receive, named)
            finally:
                _count(scope, status, perf_counter() - began if took_s is None else took_s)
                if span is not None:
                    _note(span, scope, status)


def _span(scope: Scope) -> AbstractContextManager[Span | None]:
    """Open a request's span, below the client's own if it names one."""
    if tracing.tracer is None or scope["path"] == "/" or scope["path"].startswith(UNTRACED):
        return NO_SPAN
    parent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
    return tracing.span(scope["method"], parent=parent or None, is_server=True)


def _note(span: Span, scope: Scope, status: int) -> None:
    method, route = _place(scope)
    span.note(
        name=f"{method} {route}",
        failed=status >= NO_ANSWER,
        http__request__method=method,
        http__route=route,
        http__response__status_code=status,
        comfyq__request=request_id_of(scope),
    )


def _count(scope: Scope, status: int, took_s: float) -> None:
    """Count a request under its route's template: paths are the clients' own."""
    method, route = _place(scope)
    HTTP_REQUESTS.add(method, route, str(status))
    HTTP_SECONDS.observe(took_s, method, route)


def _place(scope: Scope) -> tuple[str, str]:
    """Return a request's method and its route's template."""
    method = scope["method"] if scope["method"] in METHODS else OTHER
    return method, getattr(scope.get("route"), "path", NO_ROUTE)
