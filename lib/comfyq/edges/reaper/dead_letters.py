"""Passing messages of dead-letter queues to the service that stores them."""

import asyncio

from comfyq.aio.logs import log
from comfyq.domain.dead_letter import Origin
from comfyq.domain.errors import DomainError
from comfyq.ports.access.authenticator import Authenticator
from comfyq.ports.inbox import Inbox, Message, MessageDelivery
from comfyq.services.operations.dead_letters import DeadLetters

WAIT_S = 20
PAUSE_S = 5.0  # after a failure; the queue delivers the messages again later


class DeadLetterKeeper:
    """Store dead letters: a request for its queue's caller, a doorbell for its job's tenant."""

    def __init__(self, *, dead_letters: DeadLetters, authenticator: Authenticator) -> None:
        self._dead_letters = dead_letters
        self._authenticator = authenticator

    async def keep(self, message: Message, *, origin: Origin, queue: str) -> None:
        """Store a message of the dead-letter queue ``queue``; repeating it is harmless.

        Raises:
            DomainError: the message was not stored; leave it in the queue.
        """
        if origin is Origin.SUBMISSIONS:
            caller = await self._authenticator.of_queue(queue)
            await self._dead_letters.keep_submission(caller, message)
        else:
            await self._dead_letters.keep_doorbell(message)


async def keep_for_ever(
    inbox: Inbox, keeper: DeadLetterKeeper, *, origin: Origin, pause_s: float = PAUSE_S
) -> None:
    """Store the messages of ``inbox`` until canceled; several processes may run this at once."""
    while True:
        try:
            for delivery in await inbox.receive(wait_s=WAIT_S):
                await _keep(delivery, keeper, origin, inbox.name)
        except DomainError as away:
            log.warning("dead_letter_keep_failed", reason=str(away))
            await asyncio.sleep(pause_s)


async def _keep(
    delivery: MessageDelivery, keeper: DeadLetterKeeper, origin: Origin, queue: str
) -> None:
    try:
        await keeper.keep(delivery.message, origin=origin, queue=queue)
    except DomainError:
        raise
    except Exception:
        log.exception("dead_letter_keep_failed", message=delivery.message.id)  # it comes again
    else:
        await delivery.ack()
