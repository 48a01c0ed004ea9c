"""The Lambda functions: one event loop for each execution environment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from comfyq.bootstrap.ports import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from comfyq.edges.reaper.worker_count import WorkerCount

Event = Mapping[str, Any]
Function = Callable[[Event, object], dict[str, Any]]


def api_function(settings: Settings) -> Function:
    """Mangum runs the application in the main thread's event loop, which it makes if need be."""
    from mangum import Mangum
    from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

    from comfyq.bootstrap.generate_api import GenerateFirst

    handler = Mangum(
        GenerateFirst(Services(settings, open_ports(settings)), _whole_api),
        lifespan="off",
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"],  # else base64
    )
    return cast("Function", handler)


def _whole_api(services: Services) -> "FastAPI":
    from comfyq.bootstrap.api import api_app

    return api_app(services)


def websocket_function(settings: Settings) -> Function:
    from comfyq.edges.websocket.handler import WebSocketHandler

    services = Services(settings, open_ports(settings))
    handler = WebSocketHandler(
        subscriptions=services.subscriptions,
        notifier=services.ports.notifier,
        authenticator=services.authenticator,
        scheme="https",
        public_url=settings.api.public_url,
    )
    return _blocking(handler.handle)


def reaper_function(settings: Settings) -> Function:
    from comfyq.edges.reaper.dead_letters import DeadLetterKeeper
    from comfyq.edges.reaper.handler import ReaperHandler
    from comfyq.edges.reaper.worker_count import WorkerCount

    services = Services(settings, open_ports(settings))
    count = WorkerCount(
        health=services.health, clock=services.ports.clock, table=settings.aws.table, emit=print
    )
    dead_url = settings.aws.submissions_dead_queue_url
    handler = ReaperHandler(
        reaper=services.reaper,
        keeper=DeadLetterKeeper(
            dead_letters=services.dead_letters, authenticator=services.authenticator
        ),
        submissions_dead=None if dead_url is None else dead_url.rpartition("/")[2],
    )
    return _blocking(_counting(handler.handle, count))


def intake_function(settings: Settings) -> Function:
    from comfyq.edges.intake.handler import IntakeHandler

    services = Services(settings, open_ports(settings))
    handler = IntakeHandler(intake=services.intake, authenticator=services.authenticator)
    return _blocking(handler.handle)


def _counting(
    handle: Callable[[Event, object], Awaitable[dict[str, Any]]], count: "WorkerCount"
) -> Callable[[Event, object], Awaitable[dict[str, Any]]]:
    """Report the number of live workers after each scheduled run of the reaper."""

    async def counted(event: Event, context: object) -> dict[str, Any]:
        answer = await handle(event, context)
        if "Records" not in event:
            await count.report()
        return answer

    return counted


def _blocking(handle: Callable[[Event, object], Awaitable[dict[str, Any]]]) -> Function:
    """Run each event on one event loop, which lives as long as the execution environment, and so do
    the clients bound to it."""
    runner = asyncio.Runner()

    def function(event: Event, context: object) -> dict[str, Any]:
        async def answer() -> dict[str, Any]:
            return await handle(event, context)

        return runner.run(answer())

    return function
