"""The intake's Lambda function: batches of SQS, in which each message succeeds or fails alone."""

import asyncio
from collections.abc import Mapping
from typing import Any

from comfyq.aio.logs import log
from comfyq.ports.access.authenticator import Authenticator
from comfyq.ports.inbox import Message
from comfyq.services.jobs.intake import Intake
from comfyq.wire.sqs import failures, message_of, queue_of


class IntakeHandler:
    def __init__(self, *, intake: Intake, authenticator: Authenticator) -> None:
        self._intake = intake
        self._authenticator = authenticator

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Take every record; the answer names the messages that SQS must deliver again."""
        records = event["Records"]
        taken = await asyncio.gather(*map(self._take, records))
        return failures(
            [record["messageId"] for record, done in zip(records, taken, strict=True) if not done]
        )

    async def _take(self, record: Mapping[str, Any]) -> bool:
        queue = queue_of(record)
        return await take(self._intake, self._authenticator, message_of(record), queue=queue)


async def take(
    intake: Intake, authenticator: Authenticator, message: Message, *, queue: str
) -> bool:
    """Take one message for its queue's caller; False: leave it in the queue, to be delivered
    again."""
    try:
        outcome = await intake.take(await authenticator.of_queue(queue), message)
    except Exception as error:  # one bad message must not make the queue redeliver the others
        log.warning("submission_take_failed", message=message.id, reason=repr(error))
        return False
    log.info("submission_taken", message=message.id, outcome=outcome)
    return True
