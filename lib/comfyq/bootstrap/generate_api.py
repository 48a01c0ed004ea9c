"""The part of the HTTP API that a new Lambda environment needs first, and the rest when asked for.

A cold start reads, compiles and registers what it imports. Most first requests submit a job or ask
for one, so the other routes are imported by the first request that is for them.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TypeVar

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from comfyq import __version__
from comfyq.bootstrap.job_services import JobServices
from comfyq.edges.api.app import Addresses, Lifespan, create_app
from comfyq.edges.api.links import BATCHES, GENERATE
from comfyq.edges.api.router import Router
from comfyq.edges.api.routes import generate, outputs
from comfyq.ports.notifier import Streams
from comfyq.wire.comfy_v2.errors import is_enveloped

ServicesT = TypeVar("ServicesT", bound=JobServices)

Make = Callable[[JobServices], ASGIApp]

GENERATE_ROUTERS: Sequence[Router[JobServices]] = (generate.router, outputs.router)


def app_of(
    services: ServicesT,
    routers: Sequence[Router[ServicesT]],
    *,
    lifespan: Lifespan | None = None,
    streams: Streams | None = None,
    most_file_bytes: int | None = None,
) -> FastAPI:
    """Make the application of ``routers`` as the settings of ``services`` say."""
    settings = services.settings.api
    return create_app(
        services,
        routers=routers,
        version=__version__,
        addresses=Addresses(public_url=settings.public_url, ws_url=settings.ws_url),
        lifespan=lifespan,
        streams=streams,
        most_file_bytes=most_file_bytes,
    )


def is_for_generate(path: str) -> bool:
    """Return whether GENERATE_ROUTERS alone serve ``path``."""
    is_other = path.startswith(BATCHES) or path.endswith(("/retry", "/events"))
    return path.startswith(GENERATE) and not is_other and "/deliveries" not in path


class GenerateFirst:
    """Serve ``/generate`` with an application of its own, and make another one on first use:
    ``comfy`` for the Comfy API v2, ``whole`` for all else."""

    def __init__(self, services: JobServices, *, comfy: Make, whole: Make) -> None:
        self._generate = app_of(services, GENERATE_ROUTERS)
        self._comfy = cache(partial(comfy, services))
        self._whole = cache(partial(whole, services))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app_for(scope["path"])(scope, receive, send)

    def _app_for(self, path: str) -> ASGIApp:
        if is_for_generate(path):
            return self._generate
        return self._comfy() if is_enveloped(path) else self._whole()
