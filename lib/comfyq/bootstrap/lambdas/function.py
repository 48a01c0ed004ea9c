"""One event loop for each execution environment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from comfyq.aio.logs import log
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.ports import Ports
from comfyq.config import Settings
from comfyq.services.operations.embedded_metrics import EmbeddedMetrics

Event = Mapping[str, Any]
Function = Callable[[Event, object], dict[str, Any]]


def ports_of(settings: Settings) -> Ports:
    log.configure(settings.log_level)
    return open_ports(settings)


def blocking(handle: Callable[[Event, object], Awaitable[dict[str, Any]]]) -> Function:
    """Run each event on one event loop, which lives as long as the execution environment, and so do
    the clients bound to it."""
    runner = asyncio.Runner()

    def function(event: Event, context: object) -> dict[str, Any]:
        async def answer() -> dict[str, Any]:
            return await handle(event, context)

        return runner.run(answer())

    return function


def measured(function: Function, settings: Settings, ports: Ports) -> Function:
    """Write to the log what each event of ``function`` counted, if the settings want it."""
    if not settings.metrics.metrics_emf:
        return function
    metrics = EmbeddedMetrics(clock=ports.clock, table=settings.aws.table, emit=print)

    def written(event: Event, context: object) -> dict[str, Any]:
        try:
            return function(event, context)
        finally:
            metrics.write()

    return written
