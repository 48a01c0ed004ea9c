"""One event loop for each execution environment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from comfyq.aio.logs import log
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.ports import Ports
from comfyq.bootstrap.telemetry.traces import start_tracing
from comfyq.config import Settings
from comfyq.services.operations.embedded_metrics import EmbeddedMetrics
from comfyq.telemetry.tracing import tracing

Event = Mapping[str, Any]
Function = Callable[[Event, object], dict[str, Any]]


def ports_of(settings: Settings) -> Ports:
    log.configure(settings.log_level)
    return replace(open_ports(settings), stands_still=True)


def blocking(handle: Callable[[Event, object], Awaitable[dict[str, Any]]]) -> Function:
    """Run each event on one event loop, which lives as long as the execution environment, and so do
    the clients bound to it."""
    runner = asyncio.Runner()

    def function(event: Event, context: object) -> dict[str, Any]:
        async def answer() -> dict[str, Any]:
            return await handle(event, context)

        return runner.run(answer())

    return function


def observed(function: Function, settings: Settings, ports: Ports, *, service: str) -> Function:
    """Write what each event of ``function`` counted to the log, and send its spans, if the settings
    want it."""
    start_tracing(settings.traces, service=service)
    is_counted = settings.metrics.metrics_emf
    if not is_counted and not settings.traces.are_wanted:
        return function
    table = settings.aws.table
    metrics = EmbeddedMetrics(clock=ports.clock, table=table, emit=print) if is_counted else None

    def written(event: Event, context: object) -> dict[str, Any]:
        try:
            return function(event, context)
        finally:
            if metrics is not None:
                metrics.write()
            tracing.flush()  # this process may be frozen from here on

    return written
