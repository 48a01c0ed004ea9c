"""The reaper's Lambda function: one pass for each event of its schedule, and dead letters."""

from collections.abc import Callable, Mapping
from typing import Any

from comfyq.aio.logs import log
from comfyq.domain.dead_letter import Origin
from comfyq.edges.reaper.dead_letters import DeadLetterKeeper
from comfyq.services.operations.reaper import Reaper
from comfyq.wire.sqs import failures, message_of, queue_of

RESERVE_MS = 20_000  # of the function's time that one more round may take


class ReaperHandler:
    """``submissions_dead`` is the name of the queue of dead submissions; any other's are
    doorbells."""

    def __init__(
        self, *, reaper: Reaper, keeper: DeadLetterKeeper, submissions_dead: str | None
    ) -> None:
        self._reaper = reaper
        self._keeper = keeper
        self._submissions_dead = submissions_dead

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Run the reaper until nothing is due or the function's time runs out for an event of its
        schedule, or store the dead letters that an
        event of SQS carries.

        Returns counts of the reaper's actions, or a partial batch response that names the messages
        SQS must deliver again.

        Raises:
            TableUnavailable: nothing was done; the next scheduled event tries again.
        """
        if "Records" not in event:
            return dict(await self._reaper.reap(_has_time(context)))
        return failures(
            [record["messageId"] for record in event["Records"] if not await self._keep(record)]
        )

    async def _keep(self, record: Mapping[str, Any]) -> bool:
        try:
            queue = queue_of(record)
            await self._keeper.keep(message_of(record), origin=self._origin(queue), queue=queue)
        except Exception as error:  # one bad record must not make SQS redeliver the others
            log.warning("dead_letter_keep_failed", message=record["messageId"], reason=repr(error))
            return False
        return True

    def _origin(self, queue: str) -> Origin:
        return Origin.SUBMISSIONS if queue == self._submissions_dead else Origin.JOBS


def _has_time(context: object) -> Callable[[], bool]:
    """Return a function that tells whether a Lambda function has time for one more round.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """
    left_ms: Callable[[], int] | None = getattr(context, "get_remaining_time_in_millis", None)
    return lambda: left_ms is not None and left_ms() > RESERVE_MS
