"""The Comfy API v2, as a part of the HTTP API that a function can serve without the others."""

from collections.abc import Sequence

from fastapi import FastAPI

from comfyq.bootstrap.generate_api import app_of
from comfyq.bootstrap.services import Services
from comfyq.edges.api.router import Router
from comfyq.edges.comfy_v2.routes import assets, events, jobs

COMFY_ROUTERS: Sequence[Router[Services]] = (jobs.router, events.router, assets.router)


def comfy_app(services: Services, *, most_file_bytes: int | None = None) -> FastAPI:
    """Make the application of these routes alone."""
    return app_of(services, COMFY_ROUTERS, most_file_bytes=most_file_bytes)
