"""Dead letters as they come from their queues: to the service that keeps them."""

import asyncio

import structlog

from comfyq.domain.dead_letter import Origin
from comfyq.domain.errors import DomainError
from comfyq.ports.authenticator import Authenticator
from comfyq.ports.inbox import Inbox, Letter, LetterDelivery
from comfyq.services.operations.dead_letters import DeadLetters

log = structlog.get_logger()

WAIT_S = 20
PAUSE_S = 5.0  # after a failure; the letters come again later


class Burial:
    """Keeps what queues gave up on. A request is its queue's caller's, a doorbell its job's."""

    def __init__(self, *, dead_letters: DeadLetters, authenticator: Authenticator) -> None:
        self._dead_letters = dead_letters
        self._authenticator = authenticator

    async def bury(self, letter: Letter, *, origin: Origin, queue: str) -> None:
        """Bury a letter that came from the dead-letter queue ``queue``; repeating it is harmless.

        Raises:
            DomainError: the letter must come again.
        """
        if origin is Origin.SUBMISSIONS:
            caller = await self._authenticator.of_queue(queue)
            await self._dead_letters.bury_submission(caller, letter)
        else:
            await self._dead_letters.bury_doorbell(letter)


async def bury_for_ever(
    inbox: Inbox, burial: Burial, *, origin: Origin, pause_s: float = PAUSE_S
) -> None:
    """Bury what comes to ``inbox`` until cancelled; several processes may each do so."""
    while True:
        try:
            for delivery in await inbox.receive(wait_s=WAIT_S):
                await _bury(delivery, burial, origin, inbox.name)
        except DomainError as away:
            log.warning("bury_failed", reason=str(away))
            await asyncio.sleep(pause_s)


async def _bury(delivery: LetterDelivery, burial: Burial, origin: Origin, queue: str) -> None:
    try:
        await burial.bury(delivery.letter, origin=origin, queue=queue)
    except DomainError:
        raise
    except Exception:
        log.exception("bury_failed", letter=delivery.letter.id)  # it comes again
    else:
        await delivery.ack()
