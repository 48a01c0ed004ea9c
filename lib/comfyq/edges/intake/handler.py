"""The intake's Lambda function: batches of SQS, in which each letter succeeds or fails alone."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from comfyq.ports.authenticator import Authenticator
from comfyq.ports.inbox import Letter
from comfyq.services.jobs.intake import Intake
from comfyq.wire.sqs import failures, letter_of, queue_of

log = structlog.get_logger()


class IntakeHandler:
    def __init__(self, *, intake: Intake, authenticator: Authenticator) -> None:
        self._intake = intake
        self._authenticator = authenticator

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Take every record; those that must come again are named."""
        records = event["Records"]
        taken = await asyncio.gather(*map(self._take, records))
        return failures(
            [record["messageId"] for record, done in zip(records, taken, strict=True) if not done]
        )

    async def _take(self, record: Mapping[str, Any]) -> bool:
        queue = queue_of(record)
        return await take(self._intake, self._authenticator, letter_of(record), queue=queue)


async def take(intake: Intake, authenticator: Authenticator, letter: Letter, *, queue: str) -> bool:
    """Take one letter for the caller that its queue stands for; False: it must come again."""
    try:
        outcome = await intake.take(await authenticator.of_queue(queue), letter)
    except Exception as error:  # one bad letter must not bring back the others
        log.warning("take_failed", letter=letter.id, reason=repr(error))
        return False
    log.info("taken", letter=letter.id, outcome=outcome)
    return True
