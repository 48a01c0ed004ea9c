"""The reaper's Lambda function: one look for each event of its schedule, and dead letters."""

from collections.abc import Mapping
from typing import Any

import structlog

from comfyq.domain.dead_letter import Origin
from comfyq.edges.reaper.burying import Burial
from comfyq.services.operations.reaper import Reaper
from comfyq.wire.sqs import failures, letter_of, queue_of

log = structlog.get_logger()


class ReaperHandler:
    """``submissions_dead`` is the name of the queue of dead submissions; any other's are
    doorbells."""

    def __init__(self, *, reaper: Reaper, burial: Burial, submissions_dead: str | None) -> None:
        self._reaper = reaper
        self._burial = burial
        self._submissions_dead = submissions_dead

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Look once, or bury what SQS brings.

        The counts of what was done go to the log and to whoever invoked it; of SQS's records
        those that must come again are named.

        Raises:
            TableUnavailable: nothing could be looked at; the schedule tries again.
        """
        if "Records" not in event:
            return dict(await self._reaper.reap())
        return failures(
            [record["messageId"] for record in event["Records"] if not await self._bury(record)]
        )

    async def _bury(self, record: Mapping[str, Any]) -> bool:
        try:
            queue = queue_of(record)
            await self._burial.bury(letter_of(record), origin=self._origin(queue), queue=queue)
        except Exception as error:  # one bad record must not bring back the others
            log.warning("bury_failed", letter=record["messageId"], reason=repr(error))
            return False
        return True

    def _origin(self, queue: str) -> Origin:
        return Origin.SUBMISSIONS if queue == self._submissions_dead else Origin.JOBS
