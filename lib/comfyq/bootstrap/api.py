"""The HTTP application over one set of services."""

from collections.abc import Sequence

from fastapi import FastAPI

from comfyq.bootstrap.generate_api import GENERATE_ROUTERS, app_of
from comfyq.bootstrap.services import Services
from comfyq.edges.api.app import Lifespan
from comfyq.edges.api.router import Router
from comfyq.edges.api.routes import (
    assets,
    batches,
    dead_letters,
    health,
    keys,
    retries,
    uploads,
    workers,
    workflows,
)

ROUTERS: Sequence[Router[Services]] = (
    batches.router,  # before jobs, one of which could else have the id "batch"
    *GENERATE_ROUTERS,
    retries.router,
    uploads.router,
    assets.router,
    dead_letters.router,
    workflows.router,
    workers.router,
    health.router,
    keys.router,
    keys.ticket_router,
)


def api_app(services: Services, *, lifespan: Lifespan | None = None) -> FastAPI:
    """Make the application that Lambda, uvicorn and tests serve alike."""
    return app_of(services, ROUTERS, lifespan=lifespan)
