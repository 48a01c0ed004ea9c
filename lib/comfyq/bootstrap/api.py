"""The HTTP application over one set of services."""

from collections.abc import Sequence

from fastapi import FastAPI

from comfyq import __version__
from comfyq.bootstrap.services import Services
from comfyq.edges.api import (
    assets,
    batches,
    dead_letters,
    generate,
    health,
    outputs,
    uploads,
    workers,
    workflows,
)
from comfyq.edges.api.app import Addresses, Lifespan, create_app
from comfyq.edges.api.router import Router

ROUTERS: Sequence[Router[Services]] = (
    generate.router,
    batches.router,
    outputs.router,
    uploads.router,
    assets.router,
    dead_letters.router,
    workflows.router,
    workers.router,
    health.router,
)


def api_app(services: Services, *, lifespan: Lifespan | None = None) -> FastAPI:
    """Make the application that Lambda, uvicorn and tests serve alike."""
    settings = services.settings.api
    return create_app(
        services,
        routers=ROUTERS,
        version=__version__,
        addresses=Addresses(public_url=settings.public_url, ws_url=settings.ws_url),
        lifespan=lifespan,
    )
