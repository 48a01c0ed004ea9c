"""Dependencies of routes: the services, and how answers link back.

Each is a coroutine though it awaits nothing: FastAPI sends plain functions to a thread, and five of
those a request cost more than the request itself. One that needs another calls it: a dependency of
a dependency costs as much as one of the route.
"""

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from starlette.types import Scope

from comfyq.domain.caller import Caller
from comfyq.domain.caller import Scope as CallerScope
from comfyq.edges.api.calling.scope import ADDRESSES, SERVICES, STREAMS
from comfyq.edges.api.job_views import JobViews
from comfyq.edges.api.links import PROGRESS, Links
from comfyq.ports.notifier import Streams

JSON_TYPE = re.compile(r"application/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE)


async def services_of(request: Request) -> Any:
    """Return the application's services; each router's module says which of them it needs."""
    return request.scope[SERVICES]


async def links_of(request: Request) -> Links:
    scope = request.scope
    base_url = (scope[ADDRESSES].public_url or _base_url(scope)).rstrip("/")
    ws_url = scope[ADDRESSES].ws_url or base_url.replace("http", "ws", 1) + PROGRESS
    return Links(
        base_url=base_url,
        ws_url=ws_url,
        signed=await scope[SERVICES].links(),
        may_read=_has(request, CallerScope.READ),
        streams=scope[STREAMS] is not None,
        is_operators=_has(request, CallerScope.OPERATOR),
    )


def _has(request: Request, scope: CallerScope) -> bool:
    """Return whether the sender has a scope; one that is not known by then has none."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller is not None and scope in caller.scopes


def _base_url(scope: Scope) -> str:
    """Return what a request's URL begins with; requests of a client mostly have the same."""
    host = next((value for name, value in scope["headers"] if name == b"host"), None)
    server = tuple(scope.get("server") or ()) or None  # a list, of some servers
    return _known_base_url(scope.get("scheme", "http"), host, server, scope.get("root_path", ""))


@lru_cache(256)
def _known_base_url(
    scheme: str, host: bytes | None, server: tuple[Any, ...] | None, root_path: str
) -> str:
    headers = [] if host is None else [(b"host", host)]
    scope = {"type": "http", "scheme": scheme, "headers": headers, "server": server}
    return str(Request({**scope, "path": "/", "root_path": root_path}).base_url)


ClientLinks = Annotated[Links, Depends(links_of)]


async def streams_of(request: Request) -> Streams | None:
    """Return what holds answers open that frames are posted to; None: nothing can, as on Lambda."""
    streams: Streams | None = request.scope[STREAMS]
    return streams


async def views_of(request: Request) -> JobViews:
    return JobViews(await links_of(request))


Views = Annotated[JobViews, Depends(views_of)]


async def require_json(request: Request) -> None:
    """Refuse a body of another content type than JSON with 415, before it fails validation."""
    content_type = request.headers.get("content-type", "")
    if not JSON_TYPE.fullmatch(content_type):
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send the request as JSON, with `Content-Type: application/json`",
        )
