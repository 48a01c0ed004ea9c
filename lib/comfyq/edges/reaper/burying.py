"""The gravedigger as a task beside the API; several processes may each run one."""

import asyncio

import structlog

from comfyq.domain.dead_letter import Origin
from comfyq.domain.errors import DomainError
from comfyq.ports.inbox import Inbox, LetterDelivery
from comfyq.services.operations.dead_letters import DeadLetters

log = structlog.get_logger()

WAIT_S = 20
PAUSE_S = 5.0  # after a failure; the letters come again later


async def bury_for_ever(
    inbox: Inbox, dead_letters: DeadLetters, *, origin: Origin, pause_s: float = PAUSE_S
) -> None:
    """Bury what comes to ``inbox`` until cancelled."""
    while True:
        try:
            for delivery in await inbox.receive(wait_s=WAIT_S):
                await _bury(delivery, dead_letters, origin)
        except DomainError as away:
            log.warning("bury_failed", reason=str(away))
            await asyncio.sleep(pause_s)


async def _bury(delivery: LetterDelivery, dead_letters: DeadLetters, origin: Origin) -> None:
    try:
        await dead_letters.bury(delivery.letter, origin=origin)
    except DomainError:
        raise
    except Exception:
        log.exception("bury_failed", letter=delivery.letter.id)  # it comes again
    else:
        await delivery.ack()
