"""Lambda functions that are no HTTP: one event loop for each execution environment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from comfyq.bootstrap.ports import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.reaper.handler import ReaperHandler
from comfyq.edges.websocket.handler import WebSocketHandler

Event = Mapping[str, Any]
Function = Callable[[Event, object], dict[str, Any]]


def websocket_function(settings: Settings) -> Function:
    services = Services(settings, open_ports(settings))
    handler = WebSocketHandler(
        subscriptions=services.subscriptions,
        notifier=services.ports.notifier,
        scheme="https",
        public_url=settings.public_url,
    )
    return _blocking(handler.handle)


def reaper_function(settings: Settings) -> Function:
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
