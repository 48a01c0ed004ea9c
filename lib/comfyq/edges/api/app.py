"""The HTTP API as one ASGI application: under uvicorn, under Mangum on Lambda, and in tests."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from comfyq.edges.api import problems
from comfyq.edges.api.bodies import (
    FORM_OVERHEAD_BYTES,
    JSON_FILES_BYTES,
    SMALL_BODY_BYTES,
    RequestLimit,
)
from comfyq.edges.api.calling.scope import ADDRESSES, SERVICES, STREAMS
from comfyq.edges.api.documentation import routes as documentation
from comfyq.edges.api.encoded_slashes import EncodedSlashes
from comfyq.edges.api.links import FILES, FILES_IN_JSON, OFFERS
from comfyq.edges.api.observed import ObservedRequests
from comfyq.edges.api.router import Router
from comfyq.edges.api.safe_headers import SafeHeaders
from comfyq.ports.access.authenticator import Authenticator
from comfyq.ports.notifier import Streams
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.files.uploads import Uploads
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.services.workflows.library import WorkflowLibrary

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The public addresses of this server, if not those that requests are sent to."""

    public_url: str | None = None  # what links begin with
    ws_url: str | None = None  # where progress is pushed; None: /ws/progress/{id} beside the API


class AppServices(Protocol):
    """The services that the application itself needs, whatever its routers are."""

    @property
    def authenticator(self) -> Authenticator: ...

    @property
    def library(self) -> WorkflowLibrary: ...

    @property
    def uploads(self) -> Uploads: ...

    @property
    def rate_limit(self) -> RateLimit: ...

    async def links(self) -> SignedLinks: ...


ServicesT = TypeVar("ServicesT", bound=AppServices)


class Application(FastAPI):
    """FastAPI without what it does for each request that nothing here uses: its own telemetry, a
    limit on bodies, and closing the files of forms.

    ``given`` is put into the scope of each request.
    """

    given: Mapping[str, Any]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.root_path:
            scope["root_path"] = self.root_path
        scope.update(self.given)
        await Starlette.__call__(self, scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        return Starlette.build_middleware_stack(self)


def create_app(
    services: ServicesT,
    *,
    routers: Iterable[Router[ServicesT]],
    version: str,
    addresses: Addresses,
    lifespan: Lifespan | None = None,
    streams: Streams | None = None,
    most_file_bytes: int | None = None,
) -> FastAPI:
    """Make the application of ``routers`` over ``services``. Mangum needs no lifespan, and cannot
    hold ``streams``. ``most_file_bytes``: what runs it takes no larger body with a file."""
    app = Application(
        title="comfyq",
        version=version,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load their scripts from a public server
        redoc_url=None,
        routes=[*documentation.routes, *(route for router in routers for route in router.routes)],
    )
    app.state.services = services
    app.state.streams = streams
    app.given = {SERVICES: services, ADDRESSES: addresses, STREAMS: streams}
    app.add_middleware(EncodedSlashes)
    app.add_middleware(
        RequestLimit,
        others={
            FILES: services.uploads.max_bytes + FORM_OVERHEAD_BYTES,
            OFFERS: SMALL_BODY_BYTES,
            FILES_IN_JSON: JSON_FILES_BYTES,
        },
        files=FILES,
        most_file_bytes=most_file_bytes,
    )
    app.add_middleware(SafeHeaders)
    app.add_middleware(ObservedRequests)  # around the others, whose lines it names
    problems.install(app)
    app.openapi = partial(_describe, app)  # type: ignore[method-assign]
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    # imported by the first request for it
    from comfyq.edges.api.openapi import describe

    return describe(app)
