"""The intake as a task beside the API; several processes may each run one."""

import asyncio

import structlog

from comfyq.domain.errors import DomainError
from comfyq.edges.intake.handler import take
from comfyq.ports.inbox import Inbox, LetterDelivery
from comfyq.services.jobs.intake import Intake

log = structlog.get_logger()

WAIT_S = 20
PAUSE_S = 1.0  # after a failure


async def take_for_ever(inbox: Inbox, intake: Intake) -> None:
    """Take what comes to ``inbox`` until cancelled; what fails comes again later."""
    while True:
        try:
            deliveries = await inbox.receive(wait_s=WAIT_S)
            await asyncio.gather(*(_take(delivery, intake) for delivery in deliveries))
        except DomainError as away:
            log.warning("intake_failed", reason=str(away))
            await asyncio.sleep(PAUSE_S)


async def _take(delivery: LetterDelivery, intake: Intake) -> None:
    if await take(intake, delivery.letter):
        await delivery.ack()
