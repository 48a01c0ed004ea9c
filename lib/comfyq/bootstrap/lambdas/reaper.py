"""The function of the schedule and of dead letters."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from comfyq.aio.logs import log
from comfyq.bootstrap.lambdas.function import Event, Function, blocking, observed, ports_of
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.domain.errors import DomainError
from comfyq.edges.reaper.dead_letters import DeadLetterKeeper
from comfyq.edges.reaper.handler import ReaperHandler
from comfyq.edges.reaper.worker_count import WorkerCount
from comfyq.services.operations.embedded_metrics import EmbeddedMetrics

Report = Callable[[], Awaitable[None]]


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
    reports: list[Report] = [count.report, _reasons_of(services)]
    if services.ports.webhook_doorbell is None:
        reports.append(_webhooks_of(services))
    if settings.metrics.metrics_emf:
        reports.append(_backlog_of(services))
    function = blocking(_reporting(handler.handle, reports))
    return observed(function, settings, services.ports, service="comfyq-reaper")


def _reasons_of(services: Services) -> Report:
    """Return what tells followers of waiting jobs of changed reasons."""
    reasons = services.waiting_reasons

    async def report() -> None:
        try:
            await reasons.push()
        except DomainError as away:  # what it has reaped counts all the same
            log.warning("reasons_untold", reason=str(away))

    return report


def _webhooks_of(services: Services) -> Report:
    """Return what sends a round of the webhooks that are due."""
    webhooks = services.due_webhooks

    async def report() -> None:
        try:
            await webhooks.send_round()
        except DomainError as away:
            log.warning("webhooks_not_sent", reason=str(away))

    return report


def _backlog_of(services: Services) -> Report:
    """Return what writes the deployment's state to the log."""
    table = services.settings.aws.table
    metrics = EmbeddedMetrics(clock=services.ports.clock, table=table, emit=print)

    async def report() -> None:
        try:
            metrics.write_state((await services.backlog.report()).gauges())
        except DomainError as away:
            log.warning("backlog_unread", reason=str(away))

    return report


def _reporting(
    handle: Callable[[Event, object], Awaitable[dict[str, Any]]], reports: Sequence[Report]
) -> Callable[[Event, object], Awaitable[dict[str, Any]]]:
    """After each scheduled run of the reaper, report how the deployment is."""

    async def reported(event: Event, context: object) -> dict[str, Any]:
        answer = await handle(event, context)
        if "Records" not in event:
            for report in reports:
                await report()
        return answer

    return reported
