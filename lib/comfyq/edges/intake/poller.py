"""The intake as a task beside the API; several processes may each run one."""

import asyncio
from contextlib import suppress

from comfyq.aio.logs import log
from comfyq.aio.tasks import beside
from comfyq.domain.errors import DomainError
from comfyq.edges.intake.handler import take
from comfyq.ports.access.authenticator import Authenticator
from comfyq.ports.inbox import Inbox, MessageDelivery
from comfyq.ports.queue import TAKEN_S
from comfyq.services.jobs.intake import Intake

WAIT_S = 20
PAUSE_S = 1.0  # after a failure
HIDE_AFTER_S = TAKEN_S / 4  # most are taken by then, and need no hiding
HIDDEN_S = 30.0
RETRY_S = 30.0  # until a message that could not be taken comes again


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
    async with beside(_hide(delivery)):
        taken = await take(intake, authenticator, delivery.message, queue=queue)
    if taken:
        await delivery.ack()
    else:
        await delivery.hide(RETRY_S)


async def _hide(delivery: MessageDelivery) -> None:
    """Keep a message hidden until canceled. It is hidden for seconds at first, so that one that a
    killed process had received is soon taken by another."""
    pause_s = HIDE_AFTER_S
    while True:
        await asyncio.sleep(pause_s)
        with suppress(DomainError):  # then it comes twice, which makes no second job
            await delivery.hide(HIDDEN_S)
        pause_s = HIDDEN_S / 2
