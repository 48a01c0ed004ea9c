"""The function of the schedule and of dead letters."""

from collections.abc import Awaitable, Callable
from typing import Any

from comfyq.bootstrap.lambdas.function import Event, Function, blocking, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.reaper.dead_letters import DeadLetterKeeper
from comfyq.edges.reaper.handler import ReaperHandler
from comfyq.edges.reaper.worker_count import WorkerCount


def reaper_function(settings: Settings) -> Function:
    services = Services(settings, ports_of(settings))
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
    return blocking(_counting(handler.handle, count))


def _counting(
    handle: Callable[[Event, object], Awaitable[dict[str, Any]]], count: WorkerCount
) -> Callable[[Event, object], Awaitable[dict[str, Any]]]:
    """Report the number of live workers after each scheduled run of the reaper."""

    async def counted(event: Event, context: object) -> dict[str, Any]:
        answer = await handle(event, context)
        if "Records" not in event:
            await count.report()
        return answer

    return counted
