"""The intake's Lambda function: batches of SQS, in which each letter succeeds or fails alone."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from comfyq.ports.inbox import Letter
from comfyq.services.jobs.intake import Intake
from comfyq.wire.sqs import failures, letter_of

log = structlog.get_logger()


class IntakeHandler:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Take every record; those that must come again are named."""
        letters = [letter_of(record) for record in event["Records"]]
        taken = await asyncio.gather(*(take(self._intake, letter) for letter in letters))
        return failures(
            [letter.id for letter, done in zip(letters, taken, strict=True) if not done]
        )


async def take(intake: Intake, letter: Letter) -> bool:
    """Take one letter; False: it must come again."""
    try:
        outcome = await intake.take(letter)
    except Exception as error:  # one bad letter must not bring back the others
        log.warning("take_failed", letter=letter.id, reason=repr(error))
        return False
    log.info("taken", letter=letter.id, outcome=outcome)
    return True
