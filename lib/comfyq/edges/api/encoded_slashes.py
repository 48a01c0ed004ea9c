"""Refusal of paths in which a slash is encoded.

Servers decode a path before they part it, so ``/generate/batch%2FID`` would be read as a batch's,
where a proxy that decides by paths, or the client that put an id there, meant a job. No id or name
has a slash.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from comfyq.edges.api.problems import ProblemResponse

DETAIL = "there is nothing there: no id or name has a slash, and this path has one as %2F"


class EncodedSlashes:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "%2f" in _sent_path(scope).lower():
            request = Request(scope)
            refused = ProblemResponse(request, status=404, code="not-found", detail=DETAIL)
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _sent_path(scope: Scope) -> str:
    """Return the path as it was sent, where that is known: API Gateway may have decoded it."""
    raw: bytes | None = scope.get("raw_path")
    if raw:
        return raw.decode("latin-1")
    event = scope.get("aws.event") or {}
    return str(event.get("rawPath", ""))
