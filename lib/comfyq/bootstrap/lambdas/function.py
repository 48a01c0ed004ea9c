"""One event loop for each execution environment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from comfyq.aio.logs import log
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import Settings

Event = Mapping[str, Any]
Function = Callable[[Event, object], dict[str, Any]]


def services_of(settings: Settings) -> Services:
    log.configure(settings.log_level)
    return Services(settings, open_ports(settings))


def blocking(handle: Callable[[Event, object], Awaitable[dict[str, Any]]]) -> Function:
    """Run each event on one event loop, which lives as long as the execution environment, and so do
    the clients bound to it."""
    runner = asyncio.Runner()

    def function(event: Event, context: object) -> dict[str, Any]:
        async def answer() -> dict[str, Any]:
            return await handle(event, context)

        return runner.run(answer())

    return function
