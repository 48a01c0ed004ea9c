"""The Lambda functions: one event loop for each execution environment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from comfyq.bootstrap.ports import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import Settings

Event = Mapping[str, Any]
Function = Callable[[Event, object], dict[str, Any]]


def api_function(settings: Settings) -> Function:
    """Mangum runs the application in the main thread's event loop, which newer Pythons no longer
    make by themselves."""
    from mangum import Mangum
    from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

    from comfyq.bootstrap.api import api_app

    asyncio.set_event_loop(asyncio.new_event_loop())
    handler = Mangum(
        api_app(Services(settings, open_ports(settings))),
        lifespan="off",
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"],  # else base64
    )
    return cast("Function", handler)


def websocket_function(settings: Settings) -> Function:
    from comfyq.edges.websocket.handler import WebSocketHandler

    services = Services(settings, open_ports(settings))
    handler = WebSocketHandler(
        subscriptions=services.subscriptions,
        notifier=services.ports.notifier,
        scheme="https",
        public_url=settings.public_url,
    )
    return _blocking(handler.handle)


def reaper_function(settings: Settings) -> Function:
    from comfyq.edges.reaper.handler import ReaperHandler

    services = Services(settings, open_ports(settings))
    return _blocking(ReaperHandler(services.reaper).handle)


def _blocking(handle: Callable[[Event, object], Awaitable[dict[str, Any]]]) -> Function:
    """Lambda calls one event at a time; the loop outlives them, and with it every client."""
    runner = asyncio.Runner()

    def function(event: Event, context: object) -> dict[str, Any]:
        async def answer() -> dict[str, Any]:
            return await handle(event, context)

        return runner.run(answer())

    return function
