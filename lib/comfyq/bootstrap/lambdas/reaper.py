"""The function of the schedule and of dead letters."""

from collections.abc import Awaitable, Callable
from typing import Any

from comfyq.aio.logs import log
from comfyq.bootstrap.lambdas.function import Event, Function, blocking, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.domain.errors import DomainError
from comfyq.edges.reaper.dead_letters import DeadLetterKeeper
from comfyq.edges.reaper.handler import ReaperHandler
from comfyq.edges.reaper.worker_count import WorkerCount
from comfyq.services.notify.waiting_reasons import WaitingReasons


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
    return blocking(_then_tell(handler.handle, services.waiting_reasons, count))


def _then_tell(
    handle: Callable[[Event, object], Awaitable[dict[str, Any]]],
    reasons: WaitingReasons,
    count: WorkerCount,
) -> Callable[[Event, object], Awaitable[dict[str, Any]]]:
    """After each scheduled run of the reaper, report the number of live workers and tell followers
    of waiting jobs of changed reasons."""

    async def handled(event: Event, context: object) -> dict[str, Any]:
        answer = await handle(event, context)
        if "Records" not in event:
            await count.report()
            try:
                await reasons.push()
            except DomainError as away:  # what it has reaped counts all the same
                log.warning("reasons_untold", reason=str(away))
        return answer

    return handled
