"""The API, the sockets and the reaper as one ASGI application for one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from comfyq.bootstrap.api import api_app
from comfyq.bootstrap.services import Services
from comfyq.edges.reaper.loop import reap_for_ever
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.local.gateway import Gateway
from comfyq.services.beside import beside


def local_app(services: Services) -> FastAPI:
    """Any number of processes may serve it over the same data."""
    handler = WebSocketHandler(
        subscriptions=services.subscriptions,
        notifier=services.ports.notifier,
        scheme="http",
        public_url=services.settings.public_url,
    )
    gateway = Gateway(handler.handle, clock=services.ports.clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reaping = reap_for_ever(services.reaper, period_s=services.settings.reap_period_s)
        async with gateway.running(), beside(reaping):
            yield

    app = api_app(services, lifespan=lifespan)
    app.router.routes.extend(gateway.routes)
    return app
