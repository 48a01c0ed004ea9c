"""The HTTP API as one ASGI application: under uvicorn, under Mangum on Lambda, and in tests."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from fastapi import FastAPI
from fastapi.routing import APIRoute

from comfyq.edges.api import (
    assets,
    batches,
    dead,
    generate,
    health,
    openapi,
    outputs,
    problems,
    uploads,
    workflows,
)
from comfyq.edges.api.bodies import BodyLimit
from comfyq.edges.api.dependencies import ApiServices
from comfyq.edges.api.links import ASSETS

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(*, api: ApiServices, lifespan: Lifespan | None = None) -> FastAPI:
    """The application over ``api``. Mangum needs no lifespan."""
    app = FastAPI(
        title="comfyq",
        version=api.version,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.api = api
    app.add_middleware(BodyLimit, larger={ASSETS: api.uploads.max_bytes})
    for routes in (generate, batches, outputs, uploads, assets, dead, workflows, health):
        app.include_router(routes.router)
    problems.install(app)
    app.openapi = partial(openapi.describe, app)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
