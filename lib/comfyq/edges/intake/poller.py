"""The intake as a task beside the API; several processes may each run one."""

import asyncio

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.edges.intake.handler import take
from comfyq.ports.authenticator import Authenticator
from comfyq.ports.inbox import Inbox, MessageDelivery
from comfyq.services.jobs.intake import Intake

WAIT_S = 20
PAUSE_S = 1.0  # after a failure


async def take_for_ever(inbox: Inbox, intake: Intake, authenticator: Authenticator) -> None:
    """Take the messages of ``inbox`` until canceled; a failed one is delivered again later."""
    while True:
        try:
            deliveries = await inbox.receive(wait_s=WAIT_S)
            takes = [_take(delivery, intake, authenticator, inbox.name) for delivery in deliveries]
            await asyncio.gather(*takes)
        except DomainError as away:
            log.warning("intake_failed", reason=str(away))
            await asyncio.sleep(PAUSE_S)


async def _take(
    delivery: MessageDelivery, intake: Intake, authenticator: Authenticator, queue: str
) -> None:
    if await take(intake, authenticator, delivery.message, queue=queue):
        await delivery.ack()
