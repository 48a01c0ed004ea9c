"""The queue: a doorbell. Losing, doubling or delaying a message costs time, never a job."""

from collections.abc import Sequence
from typing import Protocol

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId

# What SQS allows; every adapter refuses more, since the others would take it.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_DELAY_S = 900
MAX_WAIT_S = 20
MAX_HIDE_S = 12 * 3600


class Delivery(Protocol):
    """One receipt of a doorbell. It comes back after the visibility time-out unless acked."""

    @property
    def job_id(self) -> JobId: ...

    async def ack(self) -> None:
        """Delete the message. A receipt that has lapsed is no error: the doorbell rings again."""
        ...

    async def hide(self, seconds: float) -> None:
        """Keep the message from every worker for that long from now; 0 shows it at once.

        SQS rounds up to whole seconds and allows 12 h at most. A lapsed receipt is no error.
        """
        ...


class JobQueue(Protocol):
    """Rings for jobs at least once, in no particular order.

    Raises QueueUnavailable from every method where the engine does not answer.
    """

    async def send(self, job_id: JobId, *, tenant: TenantId, delay_s: float = 0) -> None:
        """Ring. ``delay_s`` is 900 at most (SQS); the tenant is a fairness group, no more."""
        ...

    async def send_many(self, job_ids: Sequence[JobId], *, tenant: TenantId) -> None:
        """Ring for several jobs at once; where it fails, some of them may have been rung for."""
        ...

    async def receive(self, *, wait_s: float) -> Delivery | None:
        """Wait up to ``wait_s`` seconds (20 at most, as SQS) for one delivery.

        A message that is not a doorbell is left to the dead-letter queue.
        """
        ...


def check_seconds(seconds: float, *, most: float) -> None:
    """Refuse a time that SQS does not take with a ValueError."""
    if not 0 <= seconds <= most:
        raise ValueError(f"{seconds} s; it is 0 to {most} s")
